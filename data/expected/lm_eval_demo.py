"""Makes lm-eval-demo.json: what lm-evaluation-harness 0.4.13 writes for the demo tasks and a made-up model.

Usage, with lm_eval 0.4.13 installed: python3 lm_eval_demo.py
The made-up model's answer to (context, continuation) is made of the SHA-256 of both; the test makes the same.
"""

import csv, hashlib, json, os, pathlib, shutil, tempfile

os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1")
import lm_eval
import numpy
import yaml
from lm_eval.api.model import LM
from lm_eval.loggers import EvaluationTracker
from lm_eval.tasks import TaskManager

HERE = pathlib.Path(__file__).resolve().parent
DEMO = HERE.parent / "tasks"
STOCK = pathlib.Path(lm_eval.__file__).parent / "tasks"
SUBJECTS = ["abstract_algebra", "formal_logic", "high_school_mathematics"]
CONFIGS = {
    "hellaswag": "hellaswag/hellaswag.yaml",
    **{f"mmlu_{subject}": f"mmlu/default/mmlu_{subject}.yaml" for subject in SUBJECTS},
    "boolq": "super_glue/boolq/default.yaml",
    "piqa": "piqa/piqa.yaml",
    "arc_easy": "arc/arc_easy.yaml",
    "arc_challenge": "arc/arc_challenge.yaml",
    "winogrande": "winogrande/default.yaml",
}
GROUPS = {
    "mmlu": (None, ["mmlu_stem", "mmlu_humanities"]),
    "mmlu_stem": ("stem", ["mmlu_abstract_algebra", "mmlu_high_school_mathematics"]),
    "mmlu_humanities": ("humanities", ["mmlu_formal_logic"]),
}


def lines(name):
    return [json.loads(line) for line in open(DEMO / name, encoding="utf-8")]


def rows(task):
    """The demo's rows, with the names and order of fields that the Hub has."""
    if task == "hellaswag":
        names = "ind activity_label ctx_a ctx_b ctx endings source_id split split_type label".split()
        return [{name: str(row[name]) if name == "label" else row[name] for name in names} for row in lines("hellaswag/hellaswag_val.jsonl")]
    if task.startswith("mmlu"):
        subject = task[5:]
        records = csv.reader(open(DEMO / f"mmlu/test/{subject}_test.csv", encoding="utf-8", newline=""))
        return [dict(question=r[0], subject=subject, choices=r[1:5], answer="ABCD".index(r[5])) for r in records]
    if task == "boolq":
        return [dict(question=r["question"], passage=r["passage"], idx=i, label=int(r["answer"])) for i, r in enumerate(lines("boolq/dev.jsonl"))]
    if task == "piqa":
        labels = [int(line) for line in open(DEMO / "piqa/valid-labels.lst")]
        return [{**row, "label": label} for row, label in zip(lines("piqa/valid.jsonl"), labels)]
    if task.startswith("arc"):
        name = {"arc_easy": "ARC-Easy", "arc_challenge": "ARC-Challenge"}[task]
        return [
            dict(
                id=r["id"],
                question=r["question"]["stem"],
                choices={field: [choice[field] for choice in r["question"]["choices"]] for field in ("text", "label")},
                answerKey=r["answerKey"],
            )
            for r in lines(f"arc/{name}/{name}-Test.jsonl")
        ]
    return [{name: row[name] for name in ("sentence", "option1", "option2", "answer")} for row in lines("winogrande/dev.jsonl")]


def stock_config(path):
    """A task's own YAML, which may include another; functions stay as they are named."""
    loader = type("Loader", (yaml.SafeLoader,), {})
    loader.add_constructor("!function", lambda _, node: {"!function": node.value})
    config = yaml.load(path.read_text(encoding="utf-8"), loader)
    include = config.pop("include", None)
    return {**(stock_config(path.parent / include) if include else {}), **config}


def write_yaml(path, config):
    dumper = type("Dumper", (yaml.SafeDumper,), {})
    tag = lambda d, value: d.represent_scalar("!function", value["!function"]) if "!function" in value else d.represent_mapping("tag:yaml.org,2002:map", value.items())
    dumper.add_representer(dict, tag)
    path.write_text(yaml.dump(config, Dumper=dumper, sort_keys=False), encoding="utf-8")


def build(folder):
    for module in ("hellaswag/utils.py", "winogrande/preprocess_winogrande.py"):
        shutil.copy(STOCK / module, folder)
    for task, path in CONFIGS.items():
        config = stock_config(STOCK / path)
        split = config.get("test_split") or config["validation_split"]
        file = folder / f"{task}.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in rows(task)), encoding="utf-8")
        for key in ("training_split", "validation_split", "fewshot_split", "dataset_name", "tag"):
            config.pop(key, None)
        config |= {"dataset_path": "json", "dataset_kwargs": {"data_files": {split: str(file)}}, f"{split}_split": split}
        write_yaml(folder / f"{task}.yaml", config)
    for group, (alias, members) in GROUPS.items():
        config = {"group": group, "task": members, "aggregate_metric_list": [{"metric": "acc", "weight_by_size": True}], "metadata": {"version": 2}}
        write_yaml(folder / f"_{group}.yaml", config | ({"group_alias": alias} if alias else {}))


class MadeUp(LM):
    def loglikelihood(self, requests):
        return [self.answer(*request.args) for request in requests]

    @staticmethod
    def answer(context, continuation):
        digest = hashlib.sha256((context + continuation).encode()).digest()
        return float(numpy.float32(-40 * int.from_bytes(digest[:4], "big") / 2**32)), digest[4] > 200

    def loglikelihood_rolling(self, requests):
        raise NotImplementedError

    def generate_until(self, requests):
        raise NotImplementedError


with tempfile.TemporaryDirectory() as temporary:
    folder = pathlib.Path(temporary)
    build(folder)
    tracker = EvaluationTracker(output_path=str(folder / "out"))
    results = lm_eval.simple_evaluate(
        model=MadeUp(),
        model_args={"pretrained": "made/up"},
        tasks=["hellaswag", "mmlu", "boolq", "piqa", "arc_easy", "arc_challenge", "winogrande"],
        task_manager=TaskManager(include_path=str(folder), include_defaults=False),
        evaluation_tracker=tracker,
    )
    samples = results.pop("samples")
    tracker.save_results_aggregated(results=results, samples=samples)
    for task in CONFIGS:
        tracker.save_results_samples(task, samples[task])
    out = folder / "out" / "made__up"
    written = json.loads(next(out.glob("results_*.json")).read_text(encoding="utf-8"))
    kept = "results groups group_subtasks versions n-shot higher_is_better n-samples task_hashes".split()
    expected = {
        "made_by": "lm_eval_demo.py with lm_eval 0.4.13",
        "keys": list(written),
        "files": {key: written[key] for key in kept},
        "samples": {
            task: {"sha256": hashlib.sha256(text.encode()).hexdigest(), "first": text.split("\n")[0]}
            for task in CONFIGS
            for text in [next(out.glob(f"samples_{task}_*.jsonl")).read_text(encoding="utf-8")]
        },
    }
    (HERE / "lm-eval-demo.json").write_text(json.dumps(expected, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
