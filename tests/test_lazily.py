from __future__ import annotations

import sys

import pytest

from tests.lazily import Lazily


def test_a_module_is_imported_where_a_public_attribute_is_asked_for(tmp_path, monkeypatch):
    (tmp_path / "takes_long.py").write_text("answer = 42", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    module = Lazily("takes_long")
    for asked_by_pytest in ("__test__", "__wrapped__", "_mock_name"):
        assert not hasattr(module, asked_by_pytest)
    assert "takes_long" not in sys.modules
    assert module.answer == 42
    del sys.modules["takes_long"]


def test_a_module_that_is_not_there_is_told_then():
    with pytest.raises(ModuleNotFoundError, match="nowhere"):
        _ = Lazily("nowhere").answer
