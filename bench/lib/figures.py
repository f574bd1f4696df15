"""Figures beside their budgets, and how they are shown."""
import statistics
from dataclasses import dataclass, field

median = statistics.median


def percentile(values, share):
    """The smallest value that so large a share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-len(ordered) * share // 100) - 1))]


@dataclass
class Figure:
    measure: str  # P1 …
    what: str
    value: float
    unit: str
    budget: float | None = None
    stretch: float | None = None
    floor: float | None = None  # how many times the floor it is
    digits: int = 2
    note: str = ""
    beside: dict = field(default_factory=dict)  # which part it is of what another program takes

    def verdict(self):
        if self.budget is None:
            return "–"
        if self.value > self.budget:
            return "**missed**"
        return "stretch" if self.stretch is not None and self.value <= self.stretch else "met"


def shown(value, digits, unit=""):
    if value is None:
        return "–"
    return f"{value:,.{digits}f} {unit}".strip()


def table(figures, headings=None):
    """`headings`: names of other programs, and what stands above the ratios to each."""
    headings = headings or {}
    head = ["", "measure", "figure", "budget", "stretch", "", "× floor", *(f"÷ {text}" for text in headings.values())]
    lines = [f"| {' | '.join(head)} |", f"| --- | --- | --: | --: | --: | --- |{' --: |' * (1 + len(headings))}"]
    for figure in figures:
        note = f" ({figure.note})" if figure.note else ""
        ratios = "".join(f" | {shown(figure.beside.get(name), 2)}" for name in headings)
        lines.append(
            f"| {figure.measure} | {figure.what}{note} | {shown(figure.value, figure.digits, figure.unit)}"
            f" | {shown(figure.budget, figure.digits)} | {shown(figure.stretch, figure.digits)}"
            f" | {figure.verdict()} | {shown(figure.floor, 2)}{ratios} |"
        )
    return "\n".join(lines)


def growth_table(rows):
    """`rows`: (what, bookings, CPU s/M, peak MiB)."""
    lines = ["| | bookings | CPU s/M | peak MiB |", "| --- | --: | --: | --: |"]
    lines += [f"| {what} | {count:,} | {shown(cpu, 2)} | {shown(peak, 1)} |" for what, count, cpu, peak in rows]
    return "\n".join(lines)
