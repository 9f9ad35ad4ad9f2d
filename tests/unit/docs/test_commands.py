"""Every command that the pages show is run by a test as written, or has a reason why it is not."""

from support.documented import NOT_RUN, commands, documented, executed, missing_paths, shell_calls

PAGE = """
```bash
# a remark alone
make run    # everything
snakemake -j4 --config a='{b: # c}'  # with a sign in quotes
make image && snakemake --sdm \\
  apptainer
```
  ```sh
  cd "a # b"
  ```
```console
$ make help
help   list the targets
```
```
./exec.sh --plots
its output
```
```text
OUTPUT=./a docker compose run --rm train
make-up of the market
```
```python
make = 1
```
"""
TESTS = """
@pytest.mark.parametrize("command", ["make b", "make c && make d"])
def test_some(folder, command):
    shell(folder, "make a  # as a user")
    assert shell(folder, command, check=False)
    print("make e")
    shell(folder, f"make {folder}")

def fixture(folder):
    # shell(folder, "make f")
    call(folder, "make g")
    return shell(ROOT, 'make h')
"""


def test_every_documented_command_is_run_or_has_a_reason() -> None:
    run = executed()
    unaccounted = {command: page for command, page in documented().items() if command not in run | NOT_RUN}
    assert unaccounted == {}, "run these in a test by shell(folder, command), or add a reason to support/documented.py"


def test_no_reason_is_out_of_date() -> None:
    shown, run = documented(), executed()
    assert [command for command in NOT_RUN if command not in shown] == []
    assert [command for command in NOT_RUN if command in run] == []
    assert [path for reason in NOT_RUN.values() for path in missing_paths(reason)] == []


def test_commands_are_found_in_any_fence() -> None:
    assert list(commands(PAGE)) == [
        "make run",
        "snakemake -j4 --config a='{b: # c}'",
        "make image",
        "snakemake --sdm apptainer",
        'cd "a # b"',
        "make help",
        "./exec.sh --plots",
        "OUTPUT=./a docker compose run --rm train",
    ]


def test_what_counts_as_run_is_a_call() -> None:
    calls = [("make a", "test_some"), ("make b", "test_some"), ("make c", "test_some"), ("make d", "test_some")]
    assert sorted(shell_calls(TESTS)) == [*calls, ("make h", "fixture")]


def test_a_reason_that_names_a_lost_test_is_found() -> None:
    assert missing_paths("run by .ci/run; see tests/unit/no_such_test.py") == ["tests/unit/no_such_test.py"]
