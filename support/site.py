from unfold.sites import UnfoldAdminSite


class DeskSite(UnfoldAdminSite):
    pass
