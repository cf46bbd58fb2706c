"""What PyPI's junitparser finds in a junit.xml."""

import sys

from junitparser import Error, Failure, JUnitXml, Skipped

KINDS = {Failure: "failure", Error: "error", Skipped: "skipped"}

xml = JUnitXml.fromfile(sys.argv[1])
lines = []
counts = {"failure": 0, "error": 0, "skipped": 0}
tests = 0
for suite in xml:
    for case in suite:
        tests += 1
        for kind, word in KINDS.items():
            if any(isinstance(result, kind) for result in case.result):
                counts[word] += 1
                result = next(result for result in case.result if isinstance(result, kind))
                lines.append(f"{word} {case.name}\t{' '.join((result.message or '').split())}")
assert (xml.tests, xml.failures, xml.errors, xml.skipped) == (
    tests, counts["failure"], counts["error"], counts["skipped"]), "the root's sums are not those of its cases"
print(f"tests={tests} failures={counts['failure']} errors={counts['error']} skipped={counts['skipped']}")
print("\n".join(sorted(lines)))
