"""What a person sees: chapters, steps with their times, the pod's diff, the table at the end."""

from rich.console import Console
from rich.panel import Panel
from rich.status import Status
from rich.syntax import Syntax
from rich.table import Table

from demo.events import Chapter, Check, Done, Event, PodTimes, Said, Step


class Terminal:
    """Shows events as they come, and remembers what did not hold."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status = Status("", console=console)
        self._step = ""
        self.failed: list[str] = []
        self.times: list[PodTimes] = []

    def show(self, event: Event) -> None:
        """Show one event."""
        match event:
            case Chapter(title):
                self.chapter(title)
            case Step(text):
                self._step = text
                self._status.update(text)
                self._status.start()
            case Done(seconds):
                self._status.stop()
                self._console.print(
                    f"  [green]✓[/] {self._step} [dim]{seconds:.1f} s[/]", soft_wrap=True
                )
            case Said(text):
                for line in text.rstrip().splitlines():
                    self._console.print(
                        f"      {line}", style="dim", markup=False, highlight=False, soft_wrap=True
                    )
            case Check(text, holds):
                self._check(text, holds=holds)
            case PodTimes():
                self.times.append(event)

    def chapter(self, title: str) -> None:
        """Show the head of a chapter."""
        self._status.stop()
        self._console.print()
        self._console.rule(f"[bold]{title}", align="left")

    def _check(self, text: str, *, holds: bool) -> None:
        self._console.print(f"  [bold green]✔ {text}" if holds else f"  [bold red]✘ NOT SO: {text}")
        if not holds:
            self.failed.append(text)

    def diff(self, text: str) -> None:
        """Show a unified diff."""
        self._console.print(Syntax(text, "diff", theme="ansi_dark", background_color="default"))

    def error(self, text: str) -> None:
        """Show why the demonstration came to no end."""
        self._status.stop()
        self._console.print(Panel(text, title="the demonstration failed", style="red"))

    def table(self) -> None:
        """Show both pods' times side by side."""
        table = Table(title="What the next pod saves", title_justify="left")
        table.add_column("seconds")
        for times in self.times:
            table.add_column(f"{times.pod} pod", justify="right")
        for name, field in (
            ("mount the graph storage", "mount_seconds"),
            ("daemon ready", "daemon_seconds"),
            ("base image", "base_image_seconds"),
            ("docker build", "build_seconds"),
        ):
            table.add_row(name, *(f"{getattr(times, field):.1f}" for times in self.times))
        table.add_row(
            "build steps from the cache", *(f"{t.steps_cached} of {t.steps}" for t in self.times)
        )
        self._console.print()
        self._console.print(table)
