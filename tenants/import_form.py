"""Rows by file, for every page that takes them: a hostile file is refused before anything reads it whole, a long one is the worker's."""

from collections.abc import Callable
from typing import Any

import structlog
from django.contrib import messages
from django.core.cache import cache
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from import_export.admin import ImportExportModelAdmin
from import_export.formats.base_formats import CSV, XLSX, Format
from import_export.tmp_storages import CacheStorage
from redis.exceptions import RedisError
from tablib import Dataset
from unfold.contrib.import_export.forms import ExportForm, ImportForm

from tenants import exports
from tenants.admin_base import access_of
from tenants.saying import said
from tenants.uploads import ROWS_AT_ONCE, FileRefused, is_for_worker, is_long, kind_of, table_of

log = structlog.get_logger("pointdesk.imports")
#: Who takes long files, by the label of the rows' model: (request, name, body) -> where one sees how far it is.
#: The app that has the worker says so when it starts.
LONG_FILES: dict[str, Callable[[HttpRequest, str, bytes], HttpResponse]] = {}


class BriefStorage(CacheStorage):
    """A file between its preview and its confirmation: personal data, so never on a disk, and for half an hour."""

    CACHE_LIFETIME = 30 * 60
    CACHE_PREFIX = "upload:"


class ListFormat(Format):
    """CSV or Excel, by what the file is and not by what somebody chose; read by the reader that looked at it."""

    def __init__(self, encoding: str | None = None) -> None:
        """import-export says an encoding where a person confirms; a file says its own."""

    def get_title(self) -> str:
        return "csv / xlsx"

    def can_import(self) -> bool:
        return True

    def create_dataset(self, in_stream: bytes, **kwargs: Any) -> Dataset:
        """Raises: FileRefused."""
        names, lines = table_of(in_stream, kind=kind_of(in_stream), awaited=True)
        return Dataset(*([*cells, *[""] * (len(names) - len(cells))][: len(names)] for _, cells in lines), headers=names)


class CheckedImportForm(ImportForm):
    """`long`: a worker has to read it, if there is one for such lists (`has_worker`); `body` is the file then."""

    at_once = ROWS_AT_ONCE
    has_worker = False
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
            self.long = (is_for_worker if self.has_worker else is_long)(body, kind=kind_of(body), at_once=self.at_once)
        except FileRefused as refusal:
            self.add_error("import_file", refusal.sentence)
            return cleaned
        if self.long and not self.has_worker:
            self.add_error("import_file", said("The file has more than {rows:,} rows. Split it.", rows=self.at_once))
        self.body = body if self.long else b""
        return cleaned


class FileAdmin(ImportExportModelAdmin):
    """Import with a preview, and export. Subclasses say who may."""

    import_form_class = CheckedImportForm
    export_form_class: Any = ExportForm
    tmp_storage_class = BriefStorage
    import_formats: Any = (ListFormat,)
    export_formats: Any = (CSV, XLSX)
    rows_at_once = ROWS_AT_ONCE
    skip_admin_log: Any = True

    def get_resource_kwargs(self, request: HttpRequest, *args: Any, **kwargs: Any) -> dict[str, Any]:
        access = access_of(request)
        return {"tenant": access.tenant, "actor": access.actor}

    get_import_resource_kwargs = get_resource_kwargs
    get_export_resource_kwargs = get_resource_kwargs

    def create_import_form(self, request: HttpRequest) -> Any:
        """One a request: import-export asks again, and the file is looked at once."""
        form = getattr(request, "import_form", None)
        if form is None:
            form = super().create_import_form(request)
            form.at_once, form.has_worker = self.rows_at_once, self.opts.label_lower in LONG_FILES
            request.import_form = form  # type: ignore[attr-defined]
        return form

    def import_action(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        """A long file goes to the worker; its page shows how far it is. What is shown first may be confirmed by whoever uploaded it."""
        if request.method == "POST" and self.has_import_permission(request):
            form = self.create_import_form(request)
            if form.is_valid() and form.long:
                return LONG_FILES[self.opts.label_lower](request, form.cleaned_data["import_file"].name, form.body)
        try:
            answer: Any = super().import_action(request, **kwargs)
            confirm = (getattr(answer, "context_data", None) or {}).get("confirm_form")
            if confirm is not None:
                shown = self._as_shown(request, file_format=confirm.initial["format"])
                cache.set(_owner_key(confirm.initial["import_file_name"]), shown, BriefStorage.CACHE_LIFETIME)
        except (RedisError, OperationalError) as problem:
            return self._come_again(request, problem)
        response: HttpResponse = answer
        return response

    def process_import(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        form = self.create_confirm_form(request)
        try:
            if request.method == "POST" and form.is_valid():
                name = form.cleaned_data["import_file_name"]
                shown = self._as_shown(request, file_format=form.cleaned_data["format"])
                if self.tmp_storage_class(name=name).read() is None or cache.get(_owner_key(name)) != shown:
                    messages.error(
                        request, said("The file was kept for half an hour and is gone. Nothing was taken: upload it again.")
                    )
                    return redirect(self._import_page)
            answer: HttpResponse = super().process_import(request, **kwargs)
        except (RedisError, OperationalError) as problem:
            return self._come_again(request, problem)
        except FileRefused as refusal:  # it was just read within its time, and now is not
            messages.error(request, refusal.sentence)
            return redirect(self._import_page)
        return answer

    def add_data_read_fail_error_to_form(self, form: Any, e: Exception) -> None:
        """In our words, where they are ours."""
        if isinstance(e, FileRefused):
            form.add_error("import_file", e.sentence)
        else:
            super().add_data_read_fail_error_to_form(form, e)

    def get_export_data(self, file_format: Any, request: HttpRequest, queryset: Any, **kwargs: Any) -> Any:
        """Told in the trail, as every file that leaves."""
        made = super().get_export_data(file_format, request, queryset, **kwargs)
        access = access_of(request)
        exports.tell(
            made if isinstance(made, bytes) else made.encode(), name=self.get_export_filename(request, queryset, file_format),
            what=self.opts.model_name, tenant=access.tenant, actor=access.actor, asked={"rows": queryset.count()},
        )  # fmt: skip
        return made

    @property
    def _import_page(self) -> str:
        return f"admin:{self.opts.app_label}_{self.opts.model_name}_import"

    def _as_shown(self, request: HttpRequest, *, file_format: object) -> list[int | str | None]:
        """Whose preview it was, of which page, and how the file was read: nothing else is confirmed."""
        access = access_of(request)
        return [access.tenant.pk, access.actor.id, self.opts.label_lower, str(file_format)]

    def _come_again(self, request: HttpRequest, problem: Exception) -> HttpResponse:
        """Files wait in Redis, and rows in the database; one of them is away, or others write the same rows."""
        log.warning("import given up", error=type(problem).__name__)
        messages.error(request, said("The file could not be taken just now. Nothing was changed: try it again in a minute."))
        return redirect(self._import_page)


def _owner_key(name: str) -> str:
    return f"{BriefStorage.CACHE_PREFIX}owner:{name}"
