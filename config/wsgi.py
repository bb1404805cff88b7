"""The web process. It enters the role `web` at connect and refuses to serve when that role could see past the walls."""

import os

os.environ["POINTDESK_PROCESS"] = "web"
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()

from tenants.walls import refuse_to_serve_without_walls  # noqa: E402 - needs the apps

refuse_to_serve_without_walls()
