"""Any text as LaTeX that compiles, under pdfLaTeX too, which knows few characters by themselves."""

import re
import unicodedata

__all__ = ["latex_text"]

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "{''}",  # \textquotedbl is not in every font encoding
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    **{sign: f"{{{sign}}}" for sign in "[]*"},  # at the start of a row an option of the row before
}
_LIGATURES = {"-": "-", "'": "'", "`": "`?!"}  # sign → after which it would become another one

_LETTERS = "αβγδεζηθικλμνξπρστυφχψωΓΔΘΛΞΠΣΥΦΨΩ"
_NAMES = (
    *("alpha", "beta", "gamma", "delta", "varepsilon", "zeta", "eta", "theta", "iota", "kappa"),
    *("lambda", "mu", "nu", "xi", "pi", "rho", "sigma", "tau", "upsilon", "varphi", "chi", "psi"),
    *("omega", "Gamma", "Delta", "Theta", "Lambda", "Xi", "Pi", "Sigma", "Upsilon", "Phi", "Psi"),
    "Omega",
)
_MATHS = {
    "−": "-",
    "±": r"\pm",
    "×": r"\times",
    "·": r"\cdot",
    "÷": r"\div",
    "≤": r"\leq",
    "≥": r"\geq",
    "≠": r"\neq",
    "≈": r"\approx",
    "∞": r"\infty",
    "√": r"\surd",
    "∈": r"\in",
    "→": r"\rightarrow",
    "←": r"\leftarrow",
    "⊙": r"\odot",
    "′": r"{}^{\prime}",
    "ϵ": r"\epsilon",
    "ϕ": r"\phi",
    "°": r"{}^{\circ}",
    **{letter: f"\\{name}" for letter, name in zip(_LETTERS, _NAMES, strict=True)},
    **{digit: f"{{}}_{i}" for i, digit in enumerate("₀₁₂₃₄₅₆₇₈₉")},
    **{digit: f"{{}}^{i}" for i, digit in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")},
}
_TEXTS = {
    "ß": r"\ss{}",
    "æ": r"\ae{}",
    "Æ": r"\AE{}",
    "œ": r"\oe{}",
    "Œ": r"\OE{}",
    "ø": r"\o{}",
    "Ø": r"\O{}",
    "ł": r"\l{}",
    "Ł": r"\L{}",
    "ı": r"\i{}",
    "–": "--",
    "—": "---",
    "…": r"\ldots{}",
    "‘": "`",
    "’": "'",
    "“": "``",
    "”": "''",
    "§": r"\S{}",
    "\N{NO-BREAK SPACE}": r"\nobreakspace{}",
    "\N{NARROW NO-BREAK SPACE}": r"\,",
    "\N{THIN SPACE}": r"\,",
}
# combining character → the accent that every font encoding has
_ACCENTS = {
    "\u0300": "`",
    "\u0301": "'",
    "\u0302": "^",
    "\u0303": "~",
    "\u0304": "=",
    "\u0306": "u",
    "\u0307": ".",
    "\u0308": '"',
    "\u030a": "r",
    "\u030b": "H",
    "\u030c": "v",
    "\u0327": "c",
}


def latex_text(text: str) -> str:
    """A text that LaTeX prints as it stands, whatever is in it.

    Accented letters and the signs of mathematics become commands that every font encoding knows. A
    character that there is no command for is told by its number: pdfLaTeX would stop at it.

    >>> print(latex_text("50 % of θ_0, R&D #1, {a^b}~c"))
    50 \\% of $\\theta$\\_0, R\\&D \\#1, \\{a\\textasciicircum{}b\\}\\textasciitilde{}c
    >>> print(latex_text("Müller 票"))
    M\\"{u}ller [U+7968]
    """
    plain = re.sub(r"\s", lambda found: found[0] if found[0] in _TEXTS else " ", text)
    plain = unicodedata.normalize("NFC", plain)
    pairs = zip(f" {plain}", plain, strict=False)
    return "".join(
        f"{'{}' if before in _LIGATURES.get(one, ()) else ''}{_character(one)}"
        for before, one in pairs
    )


def _character(character: str) -> str:
    if character in _SPECIAL:
        return _SPECIAL[character]
    if " " <= character <= "~":
        return character
    if character in _MATHS:
        return f"${_MATHS[character]}$"
    return _TEXTS.get(character) or _accented(character) or f"[U+{ord(character):04X}]"


def _accented(character: str) -> str:
    """`"ü"` → `\\"{u}`; nothing where it is no letter of ASCII with one accent."""
    letter, *accents = unicodedata.normalize("NFD", character)
    if len(accents) != 1 or accents[0] not in _ACCENTS or not letter.isascii():
        return ""
    base = f"\\{letter}" if letter in "ij" and accents[0] != "\u0327" else letter  # without dots
    return f"\\{_ACCENTS[accents[0]]}{{{base}}}"
