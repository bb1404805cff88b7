"""The cast, real engines for every worker process, and the audit after every test that posts.

Alice administers Kulfi House, Bob is her agent; Charlie is an agent of Liberty Deli.
"""

import os
from pathlib import Path

from config.engines import running

_ENGINES = running(directory=Path(os.environ.get("TEST_DATA_DIR", "var/test")), durable=False)
