"""Remote engines: ours against stand-ins, and against the real ones"""

import pytest

pytest.register_assert_rewrite("tests.remote.engine_suite")
