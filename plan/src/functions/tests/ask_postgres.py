#!/usr/bin/env python3
"""Asks a real Postgres for the answers of cases/*.txt and writes them behind `=>`.

Usage: plan/src/functions/tests/ask_postgres.py 'host=/tmp port=5432 user=postgres'
New cases are lines without an answer. The server should be the judge's version (15), with UTF-8 and timezone = UTC.
"""
import os
import pathlib
import subprocess
import sys

CASES = pathlib.Path(__file__).parent / "cases"
PRELUDE = r"""
set client_min_messages = error;
set timezone = 'UTC';
create function pg_temp.answer(expression text) returns text language plpgsql as $body$
declare result text;
begin
  execute 'select case when (' || expression || ') is null then ''NULL'' else format(''%s'', (' || expression || ')) end' into result;
  return replace(result, E'\n', '\n');
exception when others then return '!' || sqlstate;
end $body$;
"""


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    command = ["cargo", "test", "-p", "plan", "--lib", "functions::tests", "--", "--nocapture", "--test-threads=1", "--skip", "document"]
    printed = subprocess.run(command, env={**os.environ, "TIDEMARK_CASES_SQL": "1"}, stdout=subprocess.PIPE, text=True, check=True).stdout
    cases = [line[line.index("SQL\t") + 4 :].split("\t") for line in printed.splitlines() if "SQL\t" in line]
    script = PRELUDE + "".join(f"select pg_temp.answer($case${sql}$case$);\n" for _, _, sql in cases)
    psql = ["psql", "-AtqX", "-v", "ON_ERROR_STOP=1", "-d", sys.argv[1]]
    answers = subprocess.run(psql, input=script, stdout=subprocess.PIPE, text=True, check=True).stdout.split("\n")[:-1]
    if len(answers) != len(cases):
        sys.exit(f"{len(cases)} cases, but {len(answers)} answers")
    known = {(file, call): answer for (file, call, _), answer in zip(cases, answers)}
    for path in sorted(CASES.glob("*.txt")):
        lines = []
        for line in path.read_text().split("\n"):
            call = line.split(" => ")[0]
            answer = known.get((path.stem, call))
            lines.append(line if answer is None else f"{call} => {answer}")
        path.write_text("\n".join(lines))
    print(f"{len(cases)} cases answered")


if __name__ == "__main__":
    main()
