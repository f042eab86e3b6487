"""Lets papermill pass parameters to TypeScript notebooks: importing this registers the translator."""
import json
import math
import re

from papermill.engines import NBClientEngine
from papermill.models import Parameter
from papermill.translators import Translator, papermill_translators


class TypeScriptTranslator(Translator):
    """Writes parameters as `let`, which the kernel lets stand beside the defaults of the parameters cell."""

    PARAMETER = re.compile(
        r"^\s*(?:export\s+)?(?:const|let|var)\s+([A-Za-z_$][\w$]*)\s*(?::\s*([^=]+?))?\s*=\s*(.+?);?\s*(?://\s*(.*))?$"
    )

    @classmethod
    def translate_none(cls, val):
        return "null"

    @classmethod
    def translate_bool(cls, val):
        return "true" if val else "false"

    @classmethod
    def translate_int(cls, val):
        # Beyond this a number would be another one.
        return f"{val}n" if abs(val) > 2**53 - 1 else str(val)

    @classmethod
    def translate_float(cls, val):
        if math.isfinite(val):
            return repr(val)
        return "Number.NaN" if math.isnan(val) else ("-" if val < 0 else "") + "Number.POSITIVE_INFINITY"

    @classmethod
    def translate_str(cls, val):
        return json.dumps(str(val))

    @classmethod
    def translate_dict(cls, val):
        return "{" + ", ".join(f"{json.dumps(str(key))}: {cls.translate(item)}" for key, item in val.items()) + "}"

    @classmethod
    def translate_list(cls, val):
        return "[" + ", ".join(cls.translate(item) for item in val) + "]"

    translate_tuple = translate_list

    @classmethod
    def comment(cls, cmt_str):
        return "\n".join(f"// {line}".rstrip() for line in cmt_str.split("\n"))

    @classmethod
    def assign(cls, name, str_val):
        return f"let {name} = {str_val};"

    @classmethod
    def inspect(cls, parameters_cell):
        """The parameters of a cell, one a line, for `papermill --help-notebook`."""
        found = (cls.PARAMETER.match(line) for line in parameters_cell["source"].split("\n"))
        return [
            Parameter(name=name, inferred_type_name=(kind or "None").strip(), default=default, help=note or "")
            for name, kind, default, note in (match.groups() for match in found if match)
        ]


class Engine(NBClientEngine):
    """papermill's own engine, under a second name; its entry point is what gets this module imported."""


papermill_translators.register("typescript", TypeScriptTranslator)
