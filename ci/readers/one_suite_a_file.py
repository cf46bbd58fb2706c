#!/usr/bin/env python3
"""Splits a junit.xml into files of one suite each, named as Surefire's report parser wants them."""

import pathlib
import sys
import xml.etree.ElementTree as ElementTree

for number, suite in enumerate(ElementTree.parse(sys.argv[1]).getroot().iter("testsuite")):
    path = pathlib.Path(sys.argv[2]) / f"TEST-{number}.xml"
    ElementTree.ElementTree(suite).write(path, encoding="utf-8", xml_declaration=True)
