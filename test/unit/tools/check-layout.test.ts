/** The check of import directions, with faults planted into small trees. */
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { checkLayout, readFloors, readSources } from '../../../tools/check-layout.ts'

const floors = ['flow', 'store', 'errors']

/** A tree without faults, and the files that replace or extend it. */
const tree = (planted: Readonly<Record<string, string>> = {}) =>
  new Map(
    Object.entries({
      'functions/login.ts': `import { flow } from '../shared/flow/flow.ts'\nimport zod from 'zod'`,
      'shared/flow/flow.ts': `import type { Store } from '../store/store.ts'\nimport { step } from './step.ts'`,
      'shared/flow/step.ts': `import { BrokerError } from '../errors/errors.ts'`,
      'shared/store/store.ts': `import { BrokerError } from '../errors/errors.ts'`,
      'shared/errors/errors.ts': '',
      ...planted,
    }),
  )

describe('check-layout', () => {
  it('accepts imports of lower floors and of the same folder', () => {
    expect(checkLayout(tree(), floors)).toEqual([])
  })

  it.each([
    ['a value', `import { flow } from '../flow/other.ts'`],
    ['a type', `import type { Flow } from '../flow/other.ts'`],
    ['a type in an inline import', `export type A = import('../flow/other.ts').Flow`],
    ['a dynamic import', `export const load = () => import('../flow/other.ts')`],
    ['a re-export', `export { flow } from '../flow/other.ts'`],
    ['a re-export of types', `export type * from '../flow/other.ts'`],
    ['an import for its effects', `import '../flow/other.ts'`],
    ['an import over several lines', `import {\n  flow,\n} from '../flow/other.ts'`],
  ])('reports an import of a higher floor: %s', (_, text) => {
    const files = tree({ 'shared/flow/other.ts': '', 'shared/store/store.ts': text })

    expect(checkLayout(files, floors)).toEqual([
      'shared/store/store.ts imports shared/flow/other.ts, which is on a higher floor.',
    ])
  })

  it('ignores an import in a comment', () => {
    expect(checkLayout(tree({ 'shared/store/store.ts': `// import '../flow/flow.ts'` }), floors)).toEqual([])
  })

  it('reports a cycle of files in one folder, through type imports too', () => {
    const files = tree({
      'shared/store/a.ts': `import { b } from './b.ts'`,
      'shared/store/b.ts': `import type { C } from './c.ts'`,
      'shared/store/c.ts': `import { a } from './a.ts'`,
    })

    expect(checkLayout(files, floors)).toEqual([
      'Import cycle: shared/store/a.ts → shared/store/b.ts → shared/store/c.ts → shared/store/a.ts.',
    ])
  })

  it('reports a cycle of files that are not deployed, which may import each other and deployed code', () => {
    const files = tree({
      'local/start.ts': `import { build } from '../tools/build.ts'\nimport '../shared/flow/flow.ts'`,
      'tools/build.ts': `export const watch = () => import('../local/watch.ts')`,
      'local/watch.ts': `import { build } from '../tools/build.ts'`,
    })

    expect(checkLayout(files, floors)).toEqual(['Import cycle: tools/build.ts → local/watch.ts → tools/build.ts.'])
  })

  it('reports a file that imports itself', () => {
    expect(checkLayout(tree({ 'shared/store/a.ts': `import './a.ts'` }), floors)).toEqual([
      'Import cycle: shared/store/a.ts → shared/store/a.ts.',
    ])
  })

  it.each([
    ['shared/errors/errors.ts', '../../functions/health.ts', 'functions/health.ts', 'shared'],
    ['shared/store/store.ts', '../../tools/build.ts', 'tools/build.ts', 'shared'],
    ['functions/health.ts', '../local/run.ts', 'local/run.ts', 'functions, shared'],
    ['functions/compose/index.ts', '../../test/setup/stack.ts', 'test/setup/stack.ts', 'functions, shared'],
  ])('reports that %s imports %s', (file, written, target, allowed) => {
    expect(checkLayout(tree({ [file]: `import '${written}'` }), floors)).toEqual([
      `${file} imports ${target}: only ${allowed} may be imported.`,
    ])
  })

  it('reports a folder without a floor, a floor without a folder, and a file beside the folders', () => {
    const files = tree({ 'shared/extra/extra.ts': '', 'shared/loose.ts': '' })

    expect(checkLayout(files, [...floors, 'absent'])).toEqual([
      'shared/extra/ has no floor: add it to the drawing in docs/architecture.md.',
      'The drawing in docs/architecture.md has a floor absent/, which is no folder of shared/.',
      'shared/loose.ts belongs in a folder of shared/.',
    ])
  })

  it('finds no fault in this tree', () => {
    const page = readFileSync(path.join(import.meta.dirname, '../../../docs/architecture.md'), 'utf8')
    const files = readSources()

    const folders = new Set([...files.keys()].map((file) => file.split('/')[0]))
    expect(folders).toEqual(new Set(['functions', 'shared', 'local', 'tools', 'infra', 'browser-client']))
    expect(readFloors(page).length).toBeGreaterThan(10)
    expect(checkLayout(files, readFloors(page))).toEqual([])
  })
})
