// Runs the client of a folder of http-tests/cache-tests against a cache and prints
// the tests of each kind as JSON: [{id, kind, passed, why}], in the suite's order.
//
//   node client.mjs <folder> <base URL, no slash at its end>
//
// A test counts as passed as in the suite's own summary: if its result is true and
// all the tests that it depends on have passed.
import fs from 'node:fs'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { createRequire } from 'node:module'

const [folder, base] = process.argv.slice(2)
const root = path.resolve(folder)
const load = file => import(pathToFileURL(path.join(root, file)))

const suites = (await load('tests/index.mjs')).default
// The releases on npm are older: no folder test-engine, and fetch is handed in.
const old = !fs.existsSync(path.join(root, 'test-engine'))
const runner = await load(old ? 'client/runner.mjs' : 'test-engine/client/runner.mjs')
// What the client says on the way is no result.
console.log = console.error
if (old) {
  const fetch = createRequire(path.join(root, 'cli.mjs'))('node-fetch')
  await runner.runTests(suites, fetch, false, base)
} else {
  await runner.runTests(suites, false, base)
}

const results = runner.getResults()
const tests = new Map(suites.flatMap(suite => suite.tests).map(test => [test.id, test]))

function passed (id) {
  return results[id] === true && (tests.get(id).depends_on ?? []).every(passed)
}

function reason (id) {
  if (results[id] !== true) return results[id].join(': ')
  return passed(id) ? '' : 'depends on ' + tests.get(id).depends_on.filter(d => !passed(d)).join(', ')
}

const out = [...tests.values()].filter(test => test.id in results).map(test =>
  ({ id: test.id, kind: test.kind ?? 'required', passed: passed(test.id), why: reason(test.id) }))
fs.writeSync(1, JSON.stringify(out))
process.exit(0) // connections that are kept alive would hold it up
