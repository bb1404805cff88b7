"""The upload form of every import: a hostile file is refused before anything reads it whole."""

from typing import Any

from unfold.contrib.import_export.forms import ImportForm

from tenants.uploads import ROWS_AT_ONCE, FileRefused, is_long, kind_of


class CheckedImportForm(ImportForm):
    """`long`: it has more rows than the web process reads; `body` is the file then. Where no worker takes such, it is refused."""

    takes_long = False
    long = False
    body = b""

    def clean(self) -> Any:
        cleaned = super().clean()
        upload = cleaned.get("import_file") if cleaned else None
        if upload is None:
            return cleaned
        body = upload.read()
        upload.seek(0)
        try:
            self.long = is_long(body, kind=kind_of(body))
        except FileRefused as refusal:
            self.add_error("import_file", refusal.sentence)
            return cleaned
        if self.long and not self.takes_long:
            self.add_error("import_file", f"The file has more than {ROWS_AT_ONCE:,} rows. Split it.")
        self.body = body if self.long else b""
        return cleaned


class LongImportForm(CheckedImportForm):
    """Of rows that the worker takes too."""

    takes_long = True
