"use strict";
(() => {
  const { Chart, make } = lottery;
  const specs = JSON.parse(document.getElementById("charts").textContent);

  // ---- a map of the inputs, level by level

  function colorOf(share, colors) {
    return colors[Math.min(colors.length - 1, Math.floor(share * colors.length))];
  }

  function addMap(figure, spec) {
    const canvas = figure.querySelector("canvas");
    const slider = figure.querySelector("input");
    const said = figure.querySelector("output");
    const context = canvas.getContext("2d");
    const draw = () => {
      const level = spec.levels[slider.value];
      const most = Math.max(...level.values);
      level.values.forEach((value, i) => {
        context.fillStyle = value ? colorOf(value / most, spec.colors) : spec.unread;
        context.fillRect(i % spec.side, Math.floor(i / spec.side), 1, 1);
      });
      said.textContent = level.text;
      slider.setAttribute("aria-valuetext", level.text);
      canvas.setAttribute("aria-label", level.text);
    };
    slider.addEventListener("input", draw);
    draw();
  }

  // ---- tables that sort

  function addSorting(table) {
    const body = table.tBodies[0];
    [...table.tHead.rows[0].cells].forEach((header, column) => {
      const button = make("button", { type: "button" }, null, header.textContent);
      header.replaceChildren(button);
      button.addEventListener("click", () => {
        const down = header.getAttribute("aria-sort") === "ascending";
        for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
        header.setAttribute("aria-sort", down ? "descending" : "ascending");
        const rows = [...body.rows].sort((a, b) => compare(a.cells[column], b.cells[column]));
        body.append(...(down ? rows.reverse() : rows));
      });
    });
  }

  function compare(one, other) {
    const [a, b] = [one, other].map((cell) => cell.dataset.value ?? cell.textContent);
    const [x, y] = [a, b].map((text) => (text === "" ? NaN : Number(text)));
    if (!Number.isNaN(x) && !Number.isNaN(y)) return x - y;
    if (Number.isNaN(x) !== Number.isNaN(y)) return Number.isNaN(x) ? 1 : -1;
    return a.localeCompare(b);
  }

  // ---- arms are switched on and off in all charts of a run at once

  for (const section of document.querySelectorAll("section.run")) {
    const charts = [];
    const run = {
      off: new Set(),
      toggle(name) {
        this.off.has(name) ? this.off.delete(name) : this.off.add(name);
        for (const chart of charts) chart.draw();
      },
    };
    for (const figure of section.querySelectorAll("figure[data-chart]")) {
      charts.push(new Chart(figure, specs[figure.id], run));
    }
    for (const figure of section.querySelectorAll("figure[data-map]")) addMap(figure, specs[figure.id]);
    window.addEventListener("beforeprint", () => charts.forEach((chart) => chart.draw()));
  }
  for (const table of document.querySelectorAll("table.sorts")) addSorting(table);
  for (const button of document.querySelectorAll("button.copy")) {
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(button.previousElementSibling.textContent);
      button.textContent = "copied";
    });
  }
})();
