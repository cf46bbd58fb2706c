// What npm's junit2json finds in a junit.xml.
import { readFileSync } from 'node:fs'
import { parse } from 'junit2json'

const root = await parse(readFileSync(process.argv[2], 'utf8'))
const cases = root.testsuite.flatMap((suite) => suite.testcase ?? [])
const kinds = { failure: 'failure', error: 'error', skipped: 'skipped' }
const lines = cases.flatMap((one) =>
  Object.keys(kinds).filter((kind) => one[kind] !== undefined).map((kind) => {
    const told = [one[kind]].flat()[0]
    return `${kinds[kind]} ${one.name}\t${(told.message ?? '').split(/\s+/).join(' ')}`
  }))
const count = (word) => lines.filter((line) => line.startsWith(word)).length
console.log(`tests=${cases.length} failures=${count('failure')} errors=${count('error')} skipped=${count('skipped')}`)
console.log(lines.sort().join('\n'))
