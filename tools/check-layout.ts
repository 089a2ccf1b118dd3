/**
 * Checks the direction of imports: `node tools/check-layout.ts`. A folder of shared/ imports only itself and folders on
 * lower floors, no deployed code imports code that is not deployed, and no file outside test/ belongs to an import
 * cycle. The floors come from the drawing in docs/architecture.md. Type imports and dynamic imports count like all
 * others.
 */
import { globSync, readFileSync } from 'node:fs'
import path from 'node:path'
import ts from 'typescript'
import { isStartedProgram } from './started-program.ts'

const root = path.join(import.meta.dirname, '..')

/** For each top folder that is deployed, the top folders it may import. */
const deployed: Readonly<Record<string, readonly string[]>> = {
  functions: ['functions', 'shared'],
  shared: ['shared'],
}

/** Texts of modules by their path from the project's root. */
type SourceFiles = ReadonlyMap<string, string>

/** @returns the folders of shared/ from the top floor down, as the code block under "Floors" lists them */
export function readFloors(architecturePage: string): readonly string[] {
  const block = /^## Floors$[\s\S]*?^```\n([\s\S]*?)^```/m.exec(architecturePage)?.[1] ?? ''
  return [...block.matchAll(/^([a-z-]+)\/ /gm)].map(([, folder]) => folder ?? '')
}

/**
 * @param files the modules of functions/ and shared/, and all others in which no cycle may be
 * @param floors folders of shared/ from the top floor down
 * @returns one sentence for each violation
 */
export function checkLayout(files: SourceFiles, floors: readonly string[]): readonly string[] {
  const imports = new Map([...files].map(([file, text]) => [file, importsOf(file, text)]))
  return [
    ...checkFolders(files, floors),
    ...[...imports].flatMap(([file, targets]) => targets.flatMap((target) => checkImport(file, target, floors))),
    ...findCycles(imports).map((cycle) => `Import cycle: ${cycle.join(' → ')}.`),
  ]
}

function checkFolders(files: SourceFiles, floors: readonly string[]): readonly string[] {
  const folders = new Set([...files.keys()].map(floorOf).filter((folder) => folder !== undefined))
  return [
    ...[...folders]
      .filter((folder) => !floors.includes(folder))
      .map((folder) => `shared/${folder}/ has no floor: add it to the drawing in docs/architecture.md.`),
    ...floors
      .filter((floor) => !folders.has(floor))
      .map((floor) => `The drawing in docs/architecture.md has a floor ${floor}/, which is no folder of shared/.`),
    ...[...files.keys()]
      .filter((file) => path.dirname(file) === 'shared')
      .map((file) => `${file} belongs in a folder of shared/.`),
  ]
}

function checkImport(file: string, target: string, floors: readonly string[]): readonly string[] {
  const allowed = deployed[topOf(file)]
  if (!allowed) return []
  if (!allowed.includes(topOf(target)))
    return [`${file} imports ${target}: only ${allowed.join(', ')} may be imported.`]
  const [from, to] = [floorOf(file), floorOf(target)]
  if (from === undefined || to === undefined || from === to) return []
  return floors.indexOf(from) < floors.indexOf(to) ? [] : [`${file} imports ${target}, which is on a higher floor.`]
}

/** Relative imports of a module, as paths from the project's root. */
function importsOf(file: string, text: string): readonly string[] {
  return ts
    .preProcessFile(text, true, true)
    .importedFiles.map(({ fileName }) => fileName)
    .filter((name) => name.startsWith('.'))
    .map((name) => path.posix.join(path.posix.dirname(file), name))
}

/** @returns each cycle that a depth-first search closes, from its first file back to that file */
function findCycles(imports: ReadonlyMap<string, readonly string[]>): readonly (readonly string[])[] {
  const cycles: string[][] = []
  const finished = new Set<string>()
  const visit = (file: string, trail: readonly string[]): void => {
    const start = trail.indexOf(file)
    if (start >= 0) {
      cycles.push([...trail.slice(start), file])
      return
    }
    if (finished.has(file)) return
    for (const target of imports.get(file) ?? []) visit(target, [...trail, file])
    finished.add(file)
  }
  for (const file of imports.keys()) visit(file, [])
  return cycles
}

function topOf(file: string): string {
  return file.split('/')[0] ?? ''
}

/** The folder of shared/ that a file belongs to; undefined elsewhere. */
function floorOf(file: string): string | undefined {
  const [top, folder, ...rest] = file.split('/')
  return top === 'shared' && rest.length > 0 ? folder : undefined
}

/** The modules of this tree, without those of test/. */
export function readSources(): SourceFiles {
  const folders = [...Object.keys(deployed), 'local', 'tools', 'infra', 'browser-client/src']
  const paths = globSync(
    folders.map((folder) => `${folder}/**/*.{ts,js,mjs}`),
    { cwd: root, exclude: ['**/node_modules/**'] },
  )
  return new Map(
    paths.map((file) => [file.split(path.sep).join('/'), readFileSync(path.join(root, file), 'utf8')] as const),
  )
}

if (isStartedProgram(import.meta.filename)) {
  const floors = readFloors(readFileSync(path.join(root, 'docs/architecture.md'), 'utf8'))
  const problems = checkLayout(readSources(), floors)
  for (const problem of problems) console.error(problem)
  if (problems.length > 0) process.exitCode = 1
  else console.log(`${floors.length} floors, no import against their order, no cycle.`)
}
