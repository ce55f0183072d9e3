"use strict";
// draws a Chart's plain values (`Chart.to_dict()`); the page around it is another script's
const lottery = (() => {
  const SVG = "http://www.w3.org/2000/svg";

  function make(name, attributes = {}, parent = null, text = "") {
    const isSvg = parent instanceof SVGElement || name === "svg";
    const element = isSvg ? document.createElementNS(SVG, name) : document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text) element.textContent = text;
    if (parent) parent.append(element);
    return element;
  }

  // ---- scales and ticks

  function percentLabel(value) {
    if (value <= 0) return "0";
    const decimals = Math.max(0, 2 - Math.floor(Math.log10(value)));
    return String(Number(value.toFixed(Math.min(decimals, 12))));
  }

  function linearTicks(low, high, most) {
    const rough = (high - low) / most;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 2.5, 5, 10].find((s) => s * power >= rough) * power;
    const ticks = [];
    for (let k = Math.ceil(low / step); k * step <= high + 1e-9 * step; k++) ticks.push(k * step);
    const decimals = Math.max(0, -Math.floor(Math.log10(step) + 1e-9) + (step / power === 2.5 ? 1 : 0));
    return ticks.map((value) => [value, value.toFixed(decimals).replace("-", "−")]);
  }

  function logTicks(low, high) {
    const steps = high / low < 4 ? [1, 2, 3, 4, 5, 6, 7, 8, 9] : high / low < 1e3 ? [1, 2, 5] : [1];
    const ticks = [];
    for (let p = Math.floor(Math.log10(low)); p <= Math.ceil(Math.log10(high)); p++) {
      for (const step of steps) ticks.push(step * 10 ** p);
    }
    const inside = ticks.filter((v) => v >= low * 0.999 && v <= high * 1.001);
    return inside.map((value) => [value, percentLabel(value)]);
  }

  // the densities there are, from the largest down, as many as have room
  function stopTicks(values, place, gap) {
    const ticks = [];
    let last = -Infinity;
    for (const value of values) {
      if (place(value) - last < gap) continue;
      ticks.push([value, percentLabel(value)]);
      last = place(value);
    }
    return ticks;
  }

  function namedTicks(stops, place) {
    const ticks = [];
    let free = -Infinity;
    for (const stop of stops) {
      const half = 3.3 * stop.tick.length + 4;
      if (place(stop.x) - half < free) continue;
      free = place(stop.x) + half;
      ticks.push([stop.x, stop.tick]);
    }
    return ticks;
  }

  function scale(kind, from, to, start, end) {
    // what a log axis cannot show lies below all that it shows, as far as matplotlib puts it
    const f = kind === "log" ? (v) => (v > 0 ? Math.log(v) : -1000 * Math.LN10) : (v) => v;
    const span = f(to) - f(from) || 1;
    return (value) => start + ((f(value) - f(from)) / span) * (end - start);
  }

  const MARKS = {
    o: "M-3.5 0a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0 -7 0",
    s: "M-3.2 -3.2h6.4v6.4h-6.4z",
    "^": "M0 -4.2L4 3H-4z",
    v: "M0 4.2L4 -3H-4z",
    "<": "M-4.2 0L3 4V-4z",
    ">": "M4.2 0L-3 4V-4z",
    D: "M0 -4.2L4.2 0L0 4.2L-4.2 0z",
    P: "M-1.4 -4h2.8v2.6h2.6v2.8h-2.6v2.6h-2.8v-2.6h-2.6v-2.8h2.6z",
    X: "M-4 -2.4L-2.4 -4L0 -1.6L2.4 -4L4 -2.4L1.6 0L4 2.4L2.4 4L0 1.6L-2.4 4L-4 2.4L-1.6 0z",
    "*": "M0 -5L1.3 -1.5L5 -1.5L2 .8L3.1 4.4L0 2.2L-3.1 4.4L-2 .8L-5 -1.5L-1.3 -1.5z",
    h: "M0 -4.2L3.7 -2.1V2.1L0 4.2L-3.7 2.1V-2.1z",
    p: "M0 -4.2L4 -1.3L2.5 3.4L-2.5 3.4L-4 -1.3z",
    H: "M2.1 -3.6L4.2 0L2.1 3.6L-2.1 3.6L-4.2 0L-2.1 -3.6z",
    "8": "M1.5 -3.7L3.7 -1.5L3.7 1.5L1.5 3.7L-1.5 3.7L-3.7 1.5L-3.7 -1.5L-1.5 -3.7z",
    d: "M0 -4.6L2.8 0L0 4.6L-2.8 0z",
    "+": "M-.8 -4.4h1.6v3.6h3.6v1.6h-3.6v3.6h-1.6v-3.6h-3.6v-1.6h3.6z",
    x: "M-3.7 -2.6L-2.6 -3.7L0 -1.1L2.6 -3.7L3.7 -2.6L1.1 0L3.7 2.6L2.6 3.7L0 1.1L-2.6 3.7L-3.7 2.6L-1.1 0z",
    "1": "M-.7 4.4V.4L-4.2 -1.6L-3.5 -2.8L0 -.8L3.5 -2.8L4.2 -1.6L.7 .4V4.4z",
    "2": "M-.7 -4.4V-.4L-4.2 1.6L-3.5 2.8L0 .8L3.5 2.8L4.2 1.6L.7 -.4V-4.4z",
    "3": "M-4.4 .7H-.4L1.6 4.2L2.8 3.5L.8 0L2.8 -3.5L1.6 -4.2L-.4 -.7H-4.4z",
    "|": "M-.8 -4.6H.8V4.6H-.8z",
    "_": "M-4.6 -.8H4.6V.8H-4.6z",
    ".": "M-2 0a2 2 0 1 0 4 0a2 2 0 1 0 -4 0",
    "$N$": "M-3.6 4.2V-4.2H-2L2 1.6V-4.2H3.6V4.2H2L-2 -1.6V4.2z",
    "$B$": "M-3.2 -4.2H1.4A2.2 2.2 0 0 1 2.6 -.2A2.3 2.3 0 0 1 1.6 4.2H-3.2zM-1.6 -2.8V-.7H1V-2.8zM-1.6 .7V2.8H1.4V.7z",
    "$H$": "M-3.4 -4.2H-1.8V-.8H1.8V-4.2H3.4V4.2H1.8V.7H-1.8V4.2H-3.4z",
    "$F$": "M3.4 -4.2V-2.8H-1.6V-.7H2.6V.7H-1.6V4.2H-3.2V-4.2z",
    "$I$": "M-2.6 -4.2H2.6V-2.9H.8V2.9H2.6V4.2H-2.6V2.9H-.8V-2.9H-2.6z",
    "$Z$": "M-3.6 -4.2H3.6V-3L-1.6 2.8H3.6V4.2H-3.6V3L1.6 -2.8H-3.6z",
    "$S$": "M3.4 -4.2V-2.8H-1.8V-.7H3.4V4.2H-3.4V2.8H1.8V.7H-3.4V-4.2z",
    "$E$": "M3.4 -4.2V-2.8H-1.6V-.7H2.6V.7H-1.6V2.8H3.4V4.2H-3.2V-4.2z",
    "$A$": "M-0.9 -4.2H0.9L4 4.2H2.3L1.6 2.2H-1.6L-2.3 4.2H-4zM0 -2.4L-1.1 0.8H1.1z",
    "$T$": "M-3.6 -4.2H3.6V-2.8H.8V4.2H-.8V-2.8H-3.6z",
    "4": "M4.4 .7H.4L-1.6 4.2L-2.8 3.5L-.8 0L-2.8 -3.5L-1.6 -4.2L.4 -.7H4.4z",
  };

  function paint(element, series) {
    element.style.setProperty("--c", series.color);
    if (series.is_ink) element.classList.add("ink");
  }

  // ---- one chart: lines over stops, with a legend that switches them

  const MOST_ROWS = 16; // of the hover; of more lines those nearest to the pointer

  class Chart {
    constructor(figure, spec, run) {
      Object.assign(this, { figure, spec, run, stop: null, near: null });
      this.legend = figure.querySelector(".legend");
      this.frame = figure.querySelector(".frame");
      this.tip = make("div", { class: "tip", hidden: "" }, this.frame);
      this.live = make("div", { class: "unseen", "aria-live": "polite" }, this.frame);
      this.fillLegend();
      this.frame.addEventListener("pointermove", (event) => this.point(event));
      this.frame.addEventListener("pointerdown", (event) => this.point(event));
      this.frame.addEventListener("pointerleave", () => this.show(null));
      this.frame.addEventListener("keydown", (event) => this.press(event));
      this.frame.addEventListener("blur", () => this.show(null));
      new ResizeObserver(() => this.resize()).observe(this.frame);
    }

    fillLegend() {
      const { ramp, series } = this.spec;
      this.legend.replaceChildren();
      if (ramp) this.addRamp(series.filter((line) => !line.is_ink));
      for (const line of ramp ? series.filter((line) => line.is_ink) : series) this.addKey(line);
    }

    // other values in the same place: what is switched off stays so, and the focus where it is
    update(spec) {
      const focused = this.legend.contains(document.activeElement) && document.activeElement.dataset.name;
      this.spec = spec;
      if (this.stop !== null && this.stop >= spec.stops.length) this.stop = null;
      this.fillLegend();
      this.draw();
      if (focused) [...this.legend.querySelectorAll(".key")].find((key) => key.dataset.name === focused)?.focus();
    }

    resize() {
      if (this.width !== this.frame.clientWidth) this.draw();
    }

    // the colours of many lines as a bar, its ends named
    addRamp(lines) {
      const ramp = make("div", { class: "ramp" }, this.legend);
      make("span", {}, ramp, lines[0].name);
      const bar = make("div", { class: "colors", title: `${this.spec.ramp}, first to last` }, ramp);
      for (const line of lines) paint(make("i", {}, bar), line);
      make("span", {}, ramp, lines[lines.length - 1].name);
      make("span", { class: "soft" }, ramp, `${this.spec.ramp}, first to last`);
    }

    addKey(series) {
      const key = make("button", { type: "button", class: "key" }, this.legend);
      const mark = make("svg", { width: 26, height: 12, viewBox: "-13 -6 26 12", "aria-hidden": "true" }, key);
      paint(mark, series);
      make("path", { d: "M-12 0H12", class: series.is_ink ? "line dashed" : "line" }, mark);
      if (series.marker) make("path", { d: MARKS[series.marker] || MARKS.o, class: "mark" }, mark);
      make("span", {}, key, series.name);
      key.dataset.name = series.name;
      key.addEventListener("click", () => this.run.toggle(series.name));
    }

    get shown() {
      return this.spec.series.filter((series) => !this.run.off.has(series.name));
    }

    draw() {
      for (const key of this.legend.querySelectorAll(".key")) {
        key.setAttribute("aria-pressed", String(!this.run.off.has(key.dataset.name)));
      }
      const { x, y, stops } = this.spec;
      const width = (this.width = this.frame.clientWidth);
      if (!width) return;
      const height = this.spec.height || (width < 480 ? 250 : 320);
      const ticksY = y.scale === "log" ? logTicks(y.low, y.high) : linearTicks(y.low, y.high, 6);
      const left = 14 + 6.6 * Math.max(...ticksY.map(([, text]) => text.length)) + 14;
      const box = { left, top: 10, right: width - 14, bottom: height - 40 };
      const values = stops.map((stop) => stop.x);
      const isDensity = x.scale === "density";
      const inset = x.scale === "names" ? (box.right - box.left) / (2 * stops.length + 2) : 10;
      this.placeX = scale(isDensity ? "log" : "linear", x.low, x.high, box.left + inset, box.right - inset);
      this.placeY = scale(y.scale, y.low, y.high, box.bottom, box.top);
      this.box = box;
      if (this.svg) this.svg.remove();
      const svg = (this.svg = make("svg", { width, height, "aria-hidden": "true" }));
      this.frame.prepend(svg);
      const ticksX =
        x.scale === "names"
          ? namedTicks(stops, this.placeX)
          : isDensity
            ? stopTicks(values, this.placeX, 46)
            : linearTicks(Math.min(x.low, x.high), Math.max(x.low, x.high), width < 480 ? 4 : 7);
      this.axes(svg, box, ticksX, ticksY);
      this.lines(svg, box);
      this.ruleNames(svg, box);
      this.pointer = make("g", { class: "pointer" }, svg);
      this.show(this.stop);
    }

    axes(svg, box, ticksX, ticksY) {
      const { placeX, placeY, spec } = this;
      for (const [value, text] of ticksY) {
        const at = placeY(value);
        make("line", { class: "grid", x1: box.left, x2: box.right, y1: at, y2: at }, svg);
        make("text", { class: "tick", x: box.left - 7, y: at + 4, "text-anchor": "end" }, svg, text);
      }
      for (const [value, text] of ticksX) {
        const at = placeX(value);
        make("line", { class: "grid", x1: at, x2: at, y1: box.top, y2: box.bottom }, svg);
        make("text", { class: "tick", x: at, y: box.bottom + 16, "text-anchor": "middle" }, svg, text);
      }
      make("line", { class: "axis", x1: box.left, x2: box.right, y1: box.bottom, y2: box.bottom }, svg);
      const middle = (box.left + box.right) / 2;
      make("text", { class: "label", x: middle, y: box.bottom + 34, "text-anchor": "middle" }, svg, spec.x.label);
      const turn = `rotate(-90) translate(${-(box.top + box.bottom) / 2} 13)`;
      make("text", { class: "label", transform: turn, "text-anchor": "middle" }, svg, spec.y.label);
      for (const rule of spec.rules) {
        const at = placeY(rule.y);
        if (at < box.top || at > box.bottom) continue;
        make("line", { class: `rule ${rule.line}`, x1: box.left, x2: box.right, y1: at, y2: at }, svg);
      }
    }

    // on the lines, not behind them: at that end of the rule, above or below, where fewest of them are
    ruleNames(svg, box) {
      const rules = this.spec.rules.map((rule) => [this.placeY(rule.y), rule.name]);
      const others = rules.flatMap(([at]) => [box.left + 20, box.right - 20].map((x) => [x, at]));
      const taken = [...this.spec.series.flatMap((series) => this.along(series)), ...others];
      for (const [at, name] of rules) {
        if (!name || at < box.top || at > box.bottom) continue;
        const places = [at - 4, at + 12].flatMap((y) => [[box.right - 2, y, "end"], [box.left + 4, y, "start"]]);
        const free = ([x, y, anchor]) => {
          const from = anchor === "end" ? x - 6.5 * name.length : x;
          const within = ([px, py]) => px > from - 4 && px < from + 6.5 * name.length + 4 && py > y - 11 && py < y + 3;
          return taken.filter(within).length + (y - 10 < box.top || y + 3 > box.bottom ? 1000 : 0);
        };
        const [x, y, anchor] = places.sort((a, b) => free(a) - free(b))[0];
        make("text", { class: "rulename", x, y, "text-anchor": anchor }, svg, name);
      }
    }

    // places close to one another along a line
    along(series) {
      const points = this.points(series);
      const steps = [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];
      return points.flatMap(([px, py], i) => {
        const [nx, ny] = points[i + 1] || [px, py];
        return steps.map((part) => [px + part * (nx - px), py + part * (ny - py)]);
      });
    }

    lines(svg, box) {
      const clip = `clip-${this.figure.id}`;
      const frame = make("clipPath", { id: clip }, make("defs", {}, svg));
      const size = { width: box.right - box.left, height: box.bottom - box.top + 4 };
      make("rect", { x: box.left, y: box.top - 2, ...size }, frame);
      const all = make("g", { "clip-path": `url(#${clip})` }, svg);
      const edge = make("g", {}, svg);
      const bars = this.shown.filter((series) => series.is_bars);
      const step = Math.min(5, (0.7 * this.gap) / bars.length);
      for (const series of this.shown) {
        const group = make("g", { class: "series", "data-name": series.name }, all);
        paint(group, series);
        // intervals of several series at one stop stand side by side
        const shift = series.is_bars ? (bars.indexOf(series) - (bars.length - 1) / 2) * step : 0;
        const points = this.points(series, shift);
        if (series.low) this.spread(group, series, points);
        if (!series.is_points) {
          const path = points.map(([px, py], i) => `${i ? "L" : "M"}${px.toFixed(1)} ${py.toFixed(1)}`);
          make("path", { d: path.join(""), class: series.is_ink ? "line dashed" : "line" }, group);
        }
        for (const [px, py, i] of series.marker || points.length === 1 ? points : []) {
          const isOpen = series.open && series.open[i];
          const mark = { d: MARKS[series.marker] || MARKS.o, class: isOpen ? "mark open" : "mark" };
          make("path", { ...mark, transform: `translate(${px.toFixed(1)} ${py.toFixed(1)})` }, group);
        }
        if (series.marker) this.outside(edge, series, points);
        if (series.is_bars && series.low) this.cut(edge, series, points);
      }
    }

    // what the axis does not reach stands at its edge, hollow
    outside(parent, series, points) {
      const { low, high } = this.spec.y;
      const hidden = points.filter(([, , i]) => series.y[i] < low || series.y[i] > high);
      if (!hidden.length) return;
      const group = make("g", { class: "outside", "data-name": series.name }, parent);
      paint(group, series);
      for (const [px, , i] of hidden) {
        const [mark, at] = series.y[i] < low ? [MARKS.v, this.box.bottom] : [MARKS["^"], this.box.top];
        make("path", { d: mark, class: "mark open", transform: `translate(${px.toFixed(1)} ${at})` }, group);
      }
    }

    // a bar that goes on beyond the axis ends in an arrowhead
    cut(parent, series, points) {
      const { low, high } = this.spec.y;
      const group = make("g", { class: "cut", "data-name": series.name }, parent);
      paint(group, series);
      const head = (px, at, d) =>
        make("path", { d, class: "mark", transform: `translate(${px.toFixed(1)} ${at})` }, group);
      for (const [px, , i] of points) {
        const value = series.y[i];
        if (series.low[i] === null) continue;
        if (series.low[i] < low && value >= low) head(px, this.box.bottom, "M0 0L3.5 -5.5H-3.5z");
        if (series.high[i] > high && value <= high) head(px, this.box.top, "M0 0L3.5 5.5H-3.5z");
      }
    }

    // pixels between the two stops of one line that are nearest to one another
    get gap() {
      const gaps = this.spec.series.map((series) => {
        const own = this.spec.stops.filter((_, i) => series.y[i] !== null);
        const at = own.map((stop) => this.placeX(stop.x)).sort((a, b) => a - b);
        return Math.min(...at.slice(1).map((x, i) => x - at[i]));
      });
      return Math.min(...gaps);
    }

    points(series, shift = 0) {
      const points = [];
      series.y.forEach((value, i) => {
        const x = series.x ? series.x[i] : this.spec.stops[i].x;
        if (value !== null) points.push([this.placeX(x) + shift, this.placeY(value), i]);
      });
      return points;
    }

    spread(group, series, points) {
      const known = points.filter(([, , i]) => series.low[i] !== null);
      if (series.is_bars) {
        for (const [px, , i] of known) {
          const [low, high] = [this.placeY(series.low[i]), this.placeY(series.high[i])];
          make("path", { d: `M${px} ${low}V${high}M${px - 3} ${low}h6M${px - 3} ${high}h6`, class: "bar" }, group);
        }
        return;
      }
      const upper = known.map(([px, , i]) => `${px} ${this.placeY(series.high[i])}`);
      const lower = known.map(([px, , i]) => `${px} ${this.placeY(series.low[i])}`).reverse();
      if (known.length) make("path", { d: `M${[...upper, ...lower].join("L")}z`, class: "band" }, group);
    }

    point(event) {
      const frame = this.frame.getBoundingClientRect();
      const at = event.clientX - frame.left;
      this.near = event.clientY - frame.top;
      const distances = this.spec.stops.map((stop) => Math.abs(this.placeX(stop.x) - at));
      this.show(distances.indexOf(Math.min(...distances)));
    }

    press(event) {
      const last = this.spec.stops.length - 1;
      const now = this.stop === null ? -1 : this.stop;
      const next = { ArrowRight: Math.min(now + 1, last), ArrowLeft: Math.max(now - 1, 0), Home: 0, End: last };
      if (event.key === "Escape") this.show(null);
      if (!(event.key in next)) return;
      event.preventDefault();
      this.near = null;
      this.show(next[event.key]);
      this.live.textContent = this.tip.innerText;
    }

    show(stop) {
      this.stop = stop;
      this.tip.hidden = stop === null;
      if (!this.pointer) return;
      this.pointer.replaceChildren();
      if (stop === null) return;
      const at = this.placeX(this.spec.stops[stop].x);
      make("line", { class: "guide", x1: at, x2: at, y1: this.box.top, y2: this.box.bottom }, this.pointer);
      this.fillTip(stop);
      const room = this.width - this.tip.offsetWidth - 4;
      const side = at + 14 + this.tip.offsetWidth < this.width ? at + 14 : at - 14 - this.tip.offsetWidth;
      this.tip.style.left = `${Math.max(4, Math.min(side, room))}px`;
    }

    // the lines that the hover tells of: all, or where they are many those nearest to the pointer
    told(stop) {
      const lines = this.shown.filter((series) => series.y[stop] !== null);
      if (this.near === null || lines.length <= MOST_ROWS) return lines;
      const far = (series) => Math.abs(this.placeY(series.y[stop]) - this.near);
      const nearest = new Set([...lines].sort((a, b) => far(a) - far(b)).slice(0, MOST_ROWS));
      return lines.filter((series) => nearest.has(series));
    }

    fillTip(stop) {
      this.tip.replaceChildren();
      make("div", { class: "where" }, this.tip, this.spec.stops[stop].text);
      for (const series of this.told(stop)) {
        const row = make("div", { class: "row" }, this.tip);
        paint(make("i", {}, row), series);
        make("span", {}, row, series.name);
        make("b", {}, row, series.text[stop]);
      }
    }
  }

  return { Chart, make };
})();
