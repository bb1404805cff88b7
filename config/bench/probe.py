"""The yardstick of `post_bill`: our web process with one more address, a DRF view that writes one row and does nothing else."""

from config.wsgi import application  # first: it sets Django up

# isort: split

from django.db import connection, transaction
from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from config import urls

__all__ = ["application"]
ROW = "INSERT INTO bench_row (body) VALUES (%s)"


class OneRow(APIView):
    """No key, no tenant, no check: the body into a table, in one transaction."""

    authentication_classes = ()
    permission_classes = ()

    def post(self, request: Request) -> Response:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(ROW, [request._request.body])
        return Response({"kept": True}, status=202)


urls.urlpatterns.append(path("bench/row", OneRow.as_view(), name="bench_row"))
