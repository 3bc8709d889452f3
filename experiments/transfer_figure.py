"""The picture of `transfer.csv`: F1 on real logs against F1 on simulated runs, a panel for each phenomenon."""

from __future__ import annotations

from pathlib import Path

from tables import read

__all__ = ["draw"]

#: (marker, face, size, order) of each kind: told apart without colour.
LOOKS = {
    "sabotaged": ("v", "0.75", 26, 1),
    "dummy": ("x", "0.35", 30, 2),
    "baseline": ("o", "white", 34, 3),
    "built-in": ("*", "black", 130, 4),
}
APART = (0.5, 0.055)  # of two names, at least, in units of F1
NAMED = 6  # baselines farthest from the diagonal that get their names


def draw(folder: Path) -> None:
    """Write `transfer.png` into the folder of results from the tables that lie there."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    rows = [r for r in read("transfer.csv", folder) if r["published"] == "True" and r["real_events"] != "0"]
    rho = {
        r["phenomenon"]: r
        for r in read("transfer_rank.csv", folder)
        if (r["simulated_by"], r["score"], r["who"]) == ("composed", "f1", "all, published settings") and r["rho"]
    }
    views = list(dict.fromkeys(r["phenomenon"] for r in rows))
    figure, axes = pyplot.subplots(2, 3, figsize=(10.5, 7.0), sharex=True, sharey=True, layout="constrained")
    for ax, view in zip(axes.flat, views, strict=False):
        mine = [r for r in rows if r["phenomenon"] == view]
        ax.plot([0, 1], [0, 1], color="0.8", lw=0.8, zorder=0)
        for kind, (marker, face, size, order) in LOOKS.items():
            points = [(_number(r["composed_f1"]), _number(r["real_f1"])) for r in mine if r["kind"] == kind]
            edge = {} if marker == "x" else {"edgecolors": "black", "linewidths": 0.7}
            colour = {"color": face} if marker == "x" else {"facecolors": face}
            if points:
                ax.scatter(
                    *zip(*points, strict=True), s=size, marker=marker, zorder=order, label=kind, **edge, **colour
                )
        _name(ax, [r for r in mine if r["kind"] == "baseline"], NAMED)
        _name(ax, [r for r in mine if r["kind"] == "sabotaged"], 2)
        title = view.replace("_", " ")
        if view in rho:
            r = rho[view]
            title += f"\nrho {float(r['rho']):.2f} ({float(r['low']):.2f} to {float(r['high']):.2f})"
        ax.set_title(title, fontsize=9)
        ax.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), aspect="equal")
    for ax in axes.flat[len(views) :]:
        ax.axis("off")
    handles, names = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles[::-1], names[::-1], loc="outside upper center", ncols=4, frameon=False, fontsize=9)
    figure.supxlabel("F1 on simulated runs of matched strength", fontsize=10)
    figure.supylabel("F1 on real logs", fontsize=10)
    figure.savefig(folder / "transfer.png", dpi=130)
    pyplot.close(figure)


def _number(text: str) -> float:
    """A score; where nothing was found there is no F1, which is as bad as 0."""
    return float(text) if text else 0.0


def _name(ax: object, rows: list[dict[str, str]], most: int) -> None:
    """The names of those that lie farthest from the diagonal."""
    points = [(_number(r["composed_f1"]), _number(r["real_f1"]), r["detector"]) for r in rows]
    placed: list[tuple[float, float]] = []
    for x, y, name in sorted(points, key=lambda p: -abs(p[0] - p[1]))[:most]:
        if any(abs(y - b) < APART[1] and abs(x - a) < APART[0] for a, b in placed):
            continue  # it would be written over another one
        placed.append((x, y))
        right = x < 0.72
        ax.annotate(  # type: ignore[attr-defined]
            name, (x, y), xytext=(5 if right else -5, 3), textcoords="offset points", fontsize=6.5,
            ha="left" if right else "right",
        )  # fmt: skip
