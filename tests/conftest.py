"""What all tests share."""

import cProfile
import dataclasses
import heapq
import itertools
import os
import random
import signal
from pathlib import Path

import numpy as np
import pytest

try:
    import hypothesis
except ImportError:  # the tests that use it say so themselves
    pass
else:
    hypothesis.settings.register_profile(  # the same examples in every run: a red test stays red
        "repeatable", deadline=None, derandomize=True, database=None
    )
    hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))

# some need what the tests do without, such as PyTorch; one registers what it has where it is loaded; one is for mypy
collect_ignore_glob = ["golden/make_*.py", "outside.py", "typing_of_callers.py"]

# Here it is decided what each way of running the tests takes; what stands here is how their names begin.
SLOW = (  # `make quick` leaves them out, and those that are long: each takes a second or more, or starts processes
    "assessment/test_assess.py",
    "checking/test_gradcheck.py",
    "checking/test_gradcheck_bounds.py",
    "checking/test_proof.py",
    "cli/test_predict.py::TestIds",
    "cli/test_train.py::TestFilesOfParquet",
    "cli/test_train.py::TestHardTables",
    "cli/test_train.py::TestRoles",
    "cli/test_train.py::TestWhatIsSaid",
    "cli/test_train.py::test_a_training",
    "comm/test_choice.py",
    "comm/test_fit.py",
    "comm/test_measure.py",
    "core/test_deprecation.py::test_the_library_uses_no_old_name",
    "cuda/test_engine.py",
    "cuda/test_equality.py",
    "cuda/test_kernels.py",
    "cuda/test_standin.py::test_without_a_compiler",
    "diagnosis/test_findings.py",
    "diagnosis/test_healthy.py",
    "diagnosis/test_report.py::TestBounds::test_sparse_rows",
    "engine/test_updates.py",
    "estimators/test_drop_in.py",
    "estimators/test_ecosystem.py::test_displays",
    "estimators/test_ecosystem.py::test_pipelines",
    "estimators/test_files.py::test_a_predictor_needs_numpy",
    "estimators/test_own_settings.py",
    "estimators/test_scale.py",
    "estimators/test_search.py",
    "estimators/test_sources.py",
    "estimators/test_tabular",
    "estimators/test_tabular_sources.py",
    "exchange/test_elsewhere.py",
    "exchange/test_formats.py::TestNetworks::test_javascript",
    "exchange/test_formats.py::test_",
    "exchange/test_keras.py",
    "exchange/test_onnx_in.py::TestThereAndBack",
    "exchange/test_onnx_in.py::TestWhatIsRefused::test_deep",
    "exchange/test_pytorch.py",
    "exchange/test_pytorch_weights.py::TestFiles::test_changed_bytes",
    "exchange/test_quantised.py::TestBadInput::test_the_self_test",
    "exchange/test_quantised.py::TestReport::test_of",
    "exchange/test_sklearn.py::test_any_pipeline",
    "exchange/test_sklearn.py::test_many_levels",
    "exchange/test_sklearn.py::test_models_leave",
    "explanation/test_bad_input.py",
    "explanation/test_catalogue.py::test_no_word_in_a_chinese_picture_is_english",
    "explanation/test_catalogue.py::test_nothing_that_a_record_says_is_missing",
    "explanation/test_columns.py",
    "explanation/test_graph.py::TestNoWordsCoverOthers",
    "explanation/test_notations.py",
    "explanation/test_paths.py",
    "explanation/test_picture.py",
    "explanation/test_record.py",
    "explanation/test_script.py",
    "files/test_atomic.py",
    "files/test_checkpoint.py",
    "files/test_copies.py",
    "layers/test_columns.py",
    "layers/test_encoding.py",
    "layers/test_members.py",
    "layers/test_periodic.py",
    "layers/test_piecewise.py",
    "layers/test_scaling.py",
    "native/test_caches.py::test_the_e",
    "native/test_caches.py::test_what_cannot_be",
    "native/test_engine.py",
    "native/test_equality.py",
    "native/test_threads.py",
    "native/test_vector_math.py",
    "playground/",
    "playing/test_script.py",
    "playing/test_server.py",
    "playing/test_session.py",
    "playing/test_setup.py::TestTheAddress",
    "program/test_own_sources.py",
    "program/test_sparse.py::test_memory",
    "program/test_summary.py",
    "tables/test_files.py",
    "tabular/test_ensemble.py",
    "test_annotations.py::test_nothing_loads",
    "test_cli.py::test_every_row",
    "test_columnar.py",
    "test_hostile.py",
    "test_house.py::test_a_module_loads_others",
    "test_house.py::test_every_file_of_text",
    "test_memory.py::test_prediction_of_many",
    "test_muon.py",
    "test_namespace.py",
    "test_outside.py::TestTheCommandLine::test_a_process",
    "test_outside.py::TestWhatIsShown::test_the_proof",
    "test_paths.py",
    "test_plot.py",
    "test_reference.py",
    "training/test_averages.py",
    "training/test_factors.py::TestAStep::test_is_the_same_on_both_engines",
    "training/test_identity.py",
    "training/test_progress.py",
    "training/test_resume.py",
    "training/test_run.py",
    "training/test_windows.py",
)
LONG = (  # `make test` leaves them out, too, so that it takes less than five minutes; `make check` and CI run them
    "browser/",
    "checking/test_gradcheck_bounds.py::test_planted",
    "comm/test_measure.py::test_real",
    "comm/test_processes.py",
    "estimators/test_contract.py",
    "estimators/test_drop_in.py::test_scikit_learns_own_tests",
    "exchange/test_cortex_m4.py",
    "exchange/test_formats.py::TestEstimators",
    "exchange/test_formats.py::TestNetworks::test_c",
    "exchange/test_formats.py::TestNetworks::test_python",
    "exchange/test_onnx.py",
    "exchange/test_onnx_in.py::test_damaged",
    "exchange/test_operations.py",
    "exchange/test_quantised.py::TestIntegers::test_c_has",
    "exchange/test_quantised.py::TestIntegers::test_no_compiler",
    "exchange/test_quantised.py::TestIntegers::test_of_random",
    "exchange/test_quantised.py::TestReport::test_every_estimator",
    "exchange/test_random_networks.py",
    "explanation/test_bad_input.py::TestNames",
    "explanation/test_script.py::test_planted",
    "files/test_checkpoint.py::test_runs_killed",
    "files/test_fuzz.py",
    "native/test_bfloat16.py::test_each_way",
    "native/test_build.py",
    "native/test_engine.py::TestTheRun::test_ctrl_c",
    "native/test_threads.py::test_a_pool",
    "program/test_description.py::TestCopies::test_every_form",
    "test_annotations.py::test_callers",
    "test_benchmarks.py",
    "test_cli.py::TestAsAProgram",
    "test_cli.py::TestCheck",
    "test_cli.py::TestWhereOutputGoes",
    "test_docs.py::test_every_block",
    "test_examples.py",
    "test_memory.py::test_rows_in_files",
    "test_surroundings.py",
)
ANYWHERE = (  # .ci/run does not repeat them elsewhere: nothing that they look at depends on where they run
    "browser/",
    "checking/test_gradcheck_bounds.py::test_planted",
    "checking/test_proof.py",
    "comm/test_choice.py",
    "comm/test_processes.py",
    "comm/test_torch.py",
    "core/test_deprecation.py::test_the_library_uses_no_old_name",
    "cuda/",
    "estimators/test_own_settings.py::test_a_killed_fit",
    "estimators/test_page.py",
    "exchange/test_cortex_m4.py",
    "exchange/test_formats.py::TestNetworks::test_c",
    "exchange/test_formats.py::TestNetworks::test_javascript",
    "exchange/test_keras.py",
    "exchange/test_keras_files.py::test_another_type",
    "exchange/test_onnx.py",
    "exchange/test_onnx_in.py::test_damaged",
    "exchange/test_operations.py",
    "exchange/test_pytorch.py",
    "exchange/test_quantised.py::TestIntegers",
    "explanation/test_bad_input.py::TestNames",
    "explanation/test_bad_input.py::TestSizes::test_more_layers",
    "explanation/test_paths.py::TestWhatIsShown::test_deep",
    "explanation/test_script.py::test_planted",
    "files/test_atomic.py::test_a_save_killed",
    "files/test_checkpoint.py::test_runs_killed",
    "files/test_fuzz.py",
    "native/test_bfloat16.py::test_each_way",
    "native/test_build.py",
    "native/test_caches.py::test_what_cannot_be",
    "native/test_engine.py::TestTheRun::test_ctrl_c",
    "native/test_threads.py::test_a_pool",
    "native/test_vector_math.py::test_the_other_kernels",
    "playing/test_server.py",
    "playing/test_session.py::TestRunning::test_two_hundred_thousand",
    "program/test_description.py::TestCopies::test_every_form",
    "program/test_own_sources.py",
    "test_annotations.py",
    "test_benchmarks.py",
    "test_cli.py::TestAsAProgram",
    "test_cli.py::TestCheck",
    "test_cli.py::TestWhereOutputGoes",
    "test_datasets.py",
    "test_examples.py::test_cifar10",
    "test_examples.py::test_digits_without",
    "test_examples.py::test_realmlp",
    "test_examples.py::test_tabm",
    "test_house.py",
    "test_memory.py::test_rows_in_files",
    "test_outside.py::TestWhatIsShown::test_the_proof",
    "test_paths.py",
    "test_surroundings.py",  # they make surroundings of their own
)
SELDOM = (  # of what could differ elsewhere, .ci/nightly alone repeats these: they take long, and compare what was
    # computed with what is computed in another way, such as from a formula that it has printed, on the other engine,
    # in other batches, or after an interruption; or they are about what processes share
    "checking/",
    "diagnosis/test_findings.py",
    "diagnosis/test_healthy.py",
    "diagnosis/test_report.py::TestBounds::test_sparse_rows",
    "estimators/test_own_settings.py::test_partial_fit_goes_on_in_a_new_process",
    "estimators/test_sources.py::test_an_array_in_a_file",
    "estimators/test_tabular.py::TestAnything",
    "exchange/test_formats.py::TestEstimators",
    "exchange/test_keras_files.py::TestHostile",
    "exchange/test_onnx_in.py::TestThereAndBack",
    "exchange/test_onnx_in.py::TestWhatIsRefused::test_deep",
    "exchange/test_quantised.py::TestReport",
    "exchange/test_random_networks.py",
    "explanation/test_bad_input.py",
    "explanation/test_catalogue.py",
    "explanation/test_columns.py",
    "explanation/test_drawing.py::test_a_deep_network",
    "explanation/test_graph.py::TestNoWordsCoverOthers",
    "explanation/test_notations.py",
    "explanation/test_page.py::TestBlame",
    "explanation/test_paths.py",
    "explanation/test_picture.py",
    "explanation/test_record.py",
    "explanation/test_script.py",
    "files/test_checkpoint.py::test_a_run_killed",
    "files/test_checkpoint.py::test_a_then_b",
    "files/test_checkpoint.py::test_whatever_ends",
    "layers/test_columns.py::TestColumns",
    "layers/test_members.py",
    "layers/test_periodic.py::TestInEachEngine::test_of_any_shape",
    "native/test_threads.py",
    "playground/",
    "playing/test_script.py",
    "playing/test_session.py",
    "program/test_sparse.py::test_memory",
    "test_examples.py",
    "test_hostile.py::test_tables_at_random",
    "test_muon.py::TestAnEnsemble",
    "test_muon.py::TestTheWorkedExample",
    "test_muon.py::test_both_engines_agree",
    "test_namespace.py",
    "training/test_averages.py",
    "training/test_factors.py::TestAStep::test_is_the_same_on_both_engines",
    "training/test_identity.py",
    "training/test_resume.py",
    "training/test_windows.py",
)
MARKS = {"slow": SLOW, "long": LONG, "anywhere": ANYWHERE, "seldom": SELDOM}
EXHAUSTIVE = os.environ.get("FULLYCONNECTED_EXHAUSTIVE", "0") != "0"  # as .ci/nightly: all that could be combined


def pytest_ignore_collect(collection_path, config):
    """Leave a file unread that has only tests which are left out."""
    here, chosen = Path(__file__).parent, config.option.markexpr
    if here in collection_path.parents:
        name = collection_path.relative_to(here).as_posix() + "/" * collection_path.is_dir()
        if any(f"not {mark}" in chosen and name.startswith(beginnings) for mark, beginnings in MARKS.items()):
            return True
    return None


def pytest_collection_modifyitems(items):
    """Mark what the lists above say; with FULLYCONNECTED_SHUFFLE=1, 2, ... files and their tests change places."""
    here = str(Path(__file__).parent)
    for item in items:
        name = item.nodeid.removeprefix("tests/") if str(item.path).startswith(here) else ""
        for mark, beginnings in MARKS.items():
            if name.startswith(beginnings):
                item.add_marker(mark)
    if seed := os.environ.get("FULLYCONNECTED_SHUFFLE"):
        draw = random.Random(seed)
        draw.shuffle(items)
        files = list(dict.fromkeys(item.path for item in items))  # a file's tests stay together, as do its fixtures
        items.sort(key=lambda item: files.index(item.path))


@pytest.fixture
def rng():
    """Random numbers, the same in every run."""
    return np.random.default_rng(7)


@pytest.fixture
def blobs():
    """A small, solvable problem: three clouds of points, float64, and their class numbers."""
    rng = np.random.default_rng(3)
    t = np.arange(90) % 3
    centres = np.array([[2.0, 0.0], [-1.0, 1.7], [-1.0, -1.7]])
    return centres[t] + 0.3 * rng.normal(size=(90, 2)), t


@pytest.fixture(scope="session")
def pairwise():
    """Return a function that picks some of all cases, tuples or records: every two values that meet in a case meet in
    one that is picked. Mistakes that take three values to be seen are left to FULLYCONNECTED_EXHAUSTIVE=1."""

    def pick(cases):
        cases = list(cases)
        if EXHAUSTIVE:
            return cases
        random.Random(0).shuffle(cases)
        bits = {}  # of each pair, one
        new = []  # of each case, the bits of its pairs
        for case in cases:
            values = dataclasses.astuple(case) if dataclasses.is_dataclass(case) else case
            pairs = itertools.combinations(enumerate(values), 2)
            new.append(sum(1 << bits.setdefault(pair, len(bits)) for pair in pairs))
        # the next is always one that has the most new pairs; they only become fewer, so that only the first is counted
        met, picked = 0, []
        queue = [(-pairs.bit_count(), i) for i, pairs in enumerate(new)]
        heapq.heapify(queue)
        while queue:
            least, i = queue[0]
            new[i] &= ~met
            if not new[i]:
                heapq.heappop(queue)
            elif new[i].bit_count() < -least:
                heapq.heapreplace(queue, (-new[i].bit_count(), i))
            else:
                heapq.heappop(queue)
                met |= new[i]
                picked.append(cases[i])
        return picked

    return pick


@pytest.fixture(scope="session")
def examples():
    """Return how many of so many random examples are tried: a part, or all with FULLYCONNECTED_EXHAUSTIVE=1."""
    return lambda n: n if EXHAUSTIVE else -(-n // 8)


@pytest.fixture(scope="session")
def exhaustive():
    """Whether all is tried of which the tests otherwise try a part."""
    return EXHAUSTIVE


@pytest.fixture
def calls():
    """Return a function that does some work, and says how many calls of functions it took: what a clock would say on a
    machine that is always the same, with nothing else to do."""

    def count(work):
        profile = cProfile.Profile()
        profile.runcall(work)
        return sum(entry.callcount for entry in profile.getstats())

    return count


@pytest.fixture
def signals():
    """Signals as a terminal gives them to a program: nohup, and a script for its jobs, hand some of them on ignored."""
    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    ignored = [number for number in numbers if signal.getsignal(number) is signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, signal.SIG_DFL)
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)
