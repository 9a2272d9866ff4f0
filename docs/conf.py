"""How the documentation is built: python -m sphinx -n -W --keep-going -b html docs docs/_build."""

from __future__ import annotations

import importlib
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parent / "_ext"))

import mcp.server.lowlevel  # noqa: F401  # first here: its models cannot be built while autodoc imports them
from sphinx.ext.napoleon import Config, GoogleDocstring
from sphinx.util.nodes import make_refnode

from memtrace import __version__

if TYPE_CHECKING:
    from docutils.nodes import Element, TextElement
    from sphinx.addnodes import pending_xref
    from sphinx.application import Sphinx
    from sphinx.domains.python import PythonDomain
    from sphinx.environment import BuildEnvironment

# autodoc imports a module as type checkers see it, which the models of these frameworks do not survive: they come first.
for framework in (
    "agents",
    "langchain_core.chat_history",
    "langgraph.store.base",
    "llama_index.core.memory",
    "google.adk.runners",
    "autogen_core.memory",
    "anthropic",
    "claude_agent_sdk",
):
    importlib.import_module(framework)

project = "memtrace-sdk"
author = "The memtrace-sdk maintainers"
project_copyright = author
version = release = __version__

extensions = [
    "myst_parser",
    "search_words",  # of docs/_ext
    "sphinx.ext.autodoc",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_llms_txt",
    "sphinxext.opengraph",
]
exclude_patterns = ["_build"]

# ---- pages ----------------------------------------------------------------------------------------------------------

myst_heading_anchors = 3
myst_enable_extensions = ["fieldlist", "deflist", "colon_fence"]

html_theme = "furo"
html_title = f"memtrace-sdk {version}"
html_baseurl = os.environ.get("READTHEDOCS_CANONICAL_URL", "")
html_logo = "_static/logo.svg"
html_favicon = "_static/favicon.svg"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_show_sphinx = False
html_show_sourcelink = False  # the sources are there for llms.txt; people have the link to edit
html_theme_options = {
    "source_repository": "https://github.com/Basekick-Labs/memtrace/",
    "source_branch": "main",
    "source_directory": "sdks/python/docs/",
    "sidebar_hide_name": True,
}
highlight_language = "text"
toc_object_entries_show_parents = "hide"
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "monokai"

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

ogp_site_name = "memtrace-sdk"
ogp_description_length = 200
ogp_image = "_static/social.png"
ogp_image_alt = "memtrace-sdk: a memory for AI agents"

llms_txt_summary = (
    "The Python SDK of Memtrace, a server that gives AI agents a memory: remember, recall, search and decide; sync and "
    "async; on a server, in one SQLite file or in memory."
)

# ---- reference ------------------------------------------------------------------------------------------------------

default_role = "py:obj"  # docstrings write `name`; `link_short_name` below turns what is no name into plain code
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "exclude-members": "model_config, model_post_init"}
autodoc_typehints = "signature"
autodoc_mock_imports = ["strands"]  # the group of frameworks is without it
autodoc_type_aliases = {"TResponseInputItem": "TResponseInputItem"}  # a union of thirty classes
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 110
add_module_names = False

# Names that no page of this documentation describes: those of the standard library and of the packages below, and type variables.
nitpick_ignore_regex = [
    (
        "py:.*",
        r"(abc|_?asyncio|concurrent|os|collections|datetime|enum|types|typing|typing_extensions|ssl|sqlite3)\..*",
    ),
    ("py:.*", r"(pydantic|annotated_types|aiohttp|httpx2?|requests|pluggy)\..*"),
    ("py:.*", r"(memtrace\.models\.)?(_KnownMemoryType|TypeNames|one_in_a_list)"),  # how a value is checked
    ("py:.*", r"(agents|langchain_core|langgraph|llama_index|google|autogen_core)\..*"),
    (
        "py:class",
        r"(AsyncDBChatStore|BaseMemoryBlock|BaseMemoryService|BaseMessage|BaseSessionService|ChatMessage|Event|GetSessionConfig|CancellationToken|ChatCompletionContext|Component|ListSessionsResponse|Memory(Content|QueryResult)?|MemoryEntry|UpdateContextResult|MessageStatus|SearchMemoryResponse|Session|SessionSettings|TResponseInputItem|Op|Result)",
    ),  # of these frameworks
    ("py:.*", r"pydantic_ai(_harness)?\..*"),
    (
        "py:.*",
        r"agent_framework\..*|(Integration(InvalidRequest)?Exception|AgentSession|SessionContext|SupportsAgentRun)",
    ),
    ("py:.*", r"strands\..*|Session(Exception|Agent|Message)|Session|MemoryEntry|SearchOptions|MultiAgentBase"),
    ("py:exc", r"(AgentRunError|ModelRetry|ToolFailed|Memory(Operation)?ConflictError)"),  # of these
    ("py:.*", r"anthropic\..*"),
    ("py:.*", r"(anthropic|claude_agent_sdk)\..*"),
    ("py:exc", r"(ToolError|AlreadyExistsError|SessionNotFoundError|StaleSessionError)"),  # of anthropic and google-adk
    (
        "py:class",
        r"(Beta\w+|Session(Key|ListSubkeysKey|StoreEntry|StoreListEntry|SummaryEntry))",
    ),  # of these frameworks
    (
        "py:class",
        r"(datetime|timedelta|Self|TracebackType|BaseModel|Mapping|Sequence|Iterable|Iterator|Callable|Coroutine|Generator|Unpack)",
    ),
    ("py:.*", r"(.*\.)?(T|A|SpecT|ModelT|TransportT)"),
    ("py:class", r"(rich\.console\.)?Console"),
    ("py:.*", r"(mcp|starlette)\..*|Server|ASGIApp|Scope|Receive|Send"),
    ("py:.*", r"(opentelemetry\..*|TracerProvider|MeterProvider|contextlib\..*)"),
    ("py:class", r"(memtrace\._runtime\.config\.)?Unset"),  # the default of with_options: what was not given
    ("py:class", r"Library"),  # the names of two libraries, which the docstring gives
]


def link_short_name(app: Sphinx, env: BuildEnvironment, node: pending_xref, contnode: TextElement) -> Element | None:
    """Link a name that stands without its module, as our docstrings and annotations write it.

    What is in single backticks and names nothing (a parameter, a variable) becomes code without a link.
    """
    if node.get("refdomain") != "py":
        return None
    last = str(node.get("reftarget", "")).rpartition(".")[2]
    if last[:1].isupper():
        domain = cast("PythonDomain", env.get_domain("py"))
        found = {
            entry.node_id: (entry.docname, name)
            for name, entry in domain.objects.items()
            if name.rpartition(".")[2] == last and not entry.aliased
        }
        if len(found) == 1:
            ((node_id, (document, name)),) = found.items()
            return make_refnode(app.builder, str(node["refdoc"]), document, node_id, [contnode], name)
    return contnode if node.get("reftype") == "obj" else None


def read_google_style(  # noqa: PLR0917  # as Sphinx calls it
    app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    """Render Google-style sections. The extension itself would also read a type into an attribute's comment with a colon."""
    if what in {"class", "exception", "function", "method"}:
        lines[:] = GoogleDocstring(lines, Config(napoleon_numpy_docstring=False), app, what, name, obj, options).lines()


def name_aliases(  # noqa: PLR0917  # as Sphinx calls it
    app: Sphinx, what: str, name: str, obj: object, options: object, signature: str | None, returned: str | None
) -> tuple[str, str] | None:
    """Show an alias of `autodoc_type_aliases` by its name inside of another type too."""
    shown = [re.sub(r"TypeAliasForwardRef\('(\w+)'\)", r"\1", text or "") for text in (signature, returned)]
    return None if shown == [signature or "", returned or ""] else (shown[0], shown[1])


def setup(app: Sphinx) -> None:
    """Register the handlers above."""
    app.connect("autodoc-process-signature", name_aliases)
    app.connect("missing-reference", link_short_name)
    app.connect("autodoc-process-docstring", read_google_style)
