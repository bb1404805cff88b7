from django.core.management.commands import makemessages


class Command(makemessages.Command):
    """Django's, which also collects what `tenants.saying` says."""

    xgettext_options = [*makemessages.Command.xgettext_options, "--keyword=said:1", "--keyword=said_of:2,3"]
