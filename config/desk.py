UNFOLD = {"SITE_TITLE": "Pointdesk"}
