/** Bundles the broker into `dist/`, which is deployed to Azure and run by both local hosts. docs/build.md */
import { randomBytes } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { parseArgs } from 'node:util'

import * as esbuild from 'esbuild'
import type { BuildFailure, BuildOptions as EsbuildOptions, Metafile, Plugin } from 'esbuild'

import { LocalError } from '../local/http-server.ts'
import { reportFailure } from '../local/program-failure.ts'
import { licenceNotices } from './licence-notices.ts'
import { bundleUnlessKept } from './build-cache.ts'
import { httpWithoutUndici } from './http-without-undici.ts'
import { oneStartChunk } from './one-start-chunk.ts'
import { isStartedProgram } from './started-program.ts'
import type { Bundled } from './build-cache.ts'

const root = path.join(import.meta.dirname, '..')

/** What is loaded to register the functions, and then behind the first invocation. */
const startStages = [path.join(root, 'functions/index.ts'), path.join(root, 'functions/handlers.ts')] as const

interface BuildOptions {
  /** Where execution begins; `functions/index.ts` where left out. */
  readonly entry?: string
  /** `dist` in the project where left out. */
  readonly outdir?: string
  /** Linked source maps, for local runs; a deployment and the telemetry thread have none. */
  readonly sourcemap?: boolean
}

export interface BuildResult {
  readonly outdir: string
  /** The entry chunk and its static imports, which a cold start reads before it can answer. */
  readonly entryBytes: number
  /** All chunks, without source maps and without the telemetry's thread. */
  readonly totalBytes: number
  /** The telemetry thread, which is loaded after the first answer. */
  readonly telemetryBytes: number
  /** esbuild's list of inputs and outputs; not part of the folder. */
  readonly metafile: Metafile
}

/**
 * Builds `dist/`. The folder is replaced as a whole, and only after a change, so that a concurrent build and a running
 * host always see a complete folder.
 *
 * @throws {LocalError} when the sources don't build; the message is esbuild's, with file and line
 */
export async function build(options: BuildOptions = {}): Promise<BuildResult> {
  const results = await Promise.all([
    esbuild.build(esbuildOptions(options)),
    ...(options.entry === undefined ? [bundleWorker()] : []),
  ]).catch((error: unknown) => {
    throw buildError(error)
  })
  return await put(results, options)
}

/** Ends the builds that still run. Otherwise esbuild prints its own stacks when this process ends before them. */
export function stopBuilds(): Promise<void> {
  return esbuild.stop()
}

/** Removes what `build` made. */
export async function clean(outdir: string = path.join(root, 'dist')): Promise<void> {
  await rm(outdir, { recursive: true, force: true })
}

/**
 * Builds, and builds again whenever a source changes.
 *
 * @param onBuilt called after each build with its result or its error
 */
export async function watch(
  options: BuildOptions,
  onBuilt: (result: BuildResult | LocalError) => void | Promise<void>,
): Promise<{ readonly close: () => Promise<void> }> {
  let last: Promise<void> = Promise.resolve()
  const afterwards: Plugin = {
    name: 'put in place',
    setup: (build) => {
      build.onEnd((result) => {
        last = last.then(async () => {
          await onBuilt(
            result.errors.length > 0
              ? new LocalError(sentences(result.errors))
              : await bundleWorker()
                  .then((worker) => put([result as Bundled, worker], options))
                  .catch((error: unknown) => buildError(error) as LocalError),
          )
        })
        return last
      })
    },
  }
  const base = esbuildOptions(options)
  const context = await esbuild.context({ ...base, plugins: [...base.plugins, afterwards] })
  await context.watch()
  return { close: () => context.dispose() }
}

/**
 * `@azure/functions-core` is not a package: the worker supplies it by patching `require`. So it is external, and the
 * banner supplies `require`, because esbuild's substitute would throw in ESM output.
 */
const banner = [
  "import { createRequire as __createRequire } from 'node:module'",
  'const require = __createRequire(import.meta.url)',
  'const __filename = import.meta.filename, __dirname = import.meta.dirname',
].join(';')

function esbuildOptions({ entry, sourcemap }: BuildOptions) {
  const stages = entry === undefined ? startStages : ([entry] as const)
  return {
    entryPoints: { index: stages[0] },
    // For relative paths only: esbuild writes no file.
    outdir: path.join(root, 'dist'),
    absWorkingDir: root,
    bundle: true,
    write: false,
    metafile: true,
    format: 'esm',
    splitting: true,
    platform: 'node',
    target: 'node22',
    // ES modules where a package has both: CommonJS can't be shaken.
    mainFields: ['module', 'main'],
    minify: true,
    keepNames: false,
    legalComments: 'none',
    sourcemap: sourcemap ? 'linked' : false,
    outExtension: { '.js': '.mjs' },
    chunkNames: '[name]-[hash]',
    assetNames: '[name]-[hash]',
    loader: { '.node': 'copy' },
    external: ['@azure/functions-core'],
    alias: sourcesOf('@azure/functions', '@azure/functions-extensions-base'),
    // An SDK looks whether a body is a FormData, which would load undici. None is.
    define: { FormData: 'undefined' },
    banner: { js: `${banner};` },
    logLevel: 'silent',
    plugins: [oneStartChunk(stages), httpWithoutUndici, optionalPackages, leaveOut],
  } satisfies EsbuildOptions
}

/**
 * Packages that publish a single file of CommonJS, from which nothing can be left out, and their sources beside it.
 * From `@azure/functions` this leaves out 43 of 74 KB, such as the bindings for blobs, queues and Cosmos DB.
 */
function sourcesOf(...packages: readonly string[]): Record<string, string> {
  const sources = packages.map((name) => [name, path.join(root, 'node_modules', name, 'src/index.ts')] as const)
  return Object.fromEntries(sources)
}

/**
 * The telemetry thread, in a file of its own: it shares no chunk with the functions, so that modules of the exporter do
 * not slow down their start. It has no source map, also in local runs: reading and writing its map of 11 MB would cost
 * each `npm start` more CPU time than the broker's start.
 */
function workerOptions() {
  return {
    ...esbuildOptions({}),
    entryPoints: { 'telemetry-worker': path.join(root, 'shared/telemetry/report-thread.ts') },
    splitting: false,
    plugins: [httpWithoutUndici, optionalPackages, leaveOut, noRemoteConfiguration],
  } satisfies EsbuildOptions
}

/** The thread's sources change rarely, and bundling them takes four times as long as bundling the functions. */
function bundleWorker(): Promise<Bundled> {
  return bundleUnlessKept('telemetry-worker', () => esbuild.build(workerOptions()))
}

/**
 * Substitutes for packages that dependencies load and that must not work here; they save 66 KB.
 *
 * - jsonwebtoken: MSAL uses it to sign with a private key of the process; in the broker the vault signs.
 * - debug: logs requests of an SDK's agents where DEBUG is set; only the fields of log.ts may be logged.
 */
const leftOut: Readonly<Record<string, string>> = {
  jsonwebtoken: "module.exports = { sign() { throw new Error('No private key signs in this process.') } }",
  debug: 'module.exports = () => Object.assign(() => undefined, { enabled: false })',
}

const leaveOut: Plugin = {
  name: 'packages that do nothing here',
  setup: (build) => {
    build.onResolve({ filter: /^(jsonwebtoken|debug)$/ }, ({ path: name }) => ({ path: name, namespace: 'left out' }))
    build.onLoad({ filter: /.*/, namespace: 'left out' }, ({ path: name }) => ({ contents: leftOut[name] ?? '' }))
  },
}

/**
 * The exporter requests configuration from a service of its vendor every few minutes, and has no switch for that, so
 * the class is replaced. Telemetry goes only to the resource in the settings.
 */
const noRemoteConfiguration: Plugin = {
  name: 'no remote configuration',
  setup: (build) => {
    let found = false
    build.onLoad({ filter: /monitor-opentelemetry-exporter.dist.\w+._configuration.configurationWorker\.js$/ }, () => {
      found = true
      return { contents: 'exports.ConfigurationWorker = class { shutdown() {} }', loader: 'js' }
    })
    build.onEnd(() =>
      found ? undefined : { errors: [{ text: 'The class that requests remote configuration was not found.' }] },
    )
  },
}

/** A package that a dependency requires and npm did not install is optional: its `require` may fail at run time. */
const optionalPackages: Plugin = {
  name: 'optional packages stay outside',
  setup: (build) => {
    build.onResolve({ filter: /^[^./]/ }, async ({ path: specifier, kind, importer, resolveDir, pluginData }) => {
      if (pluginData === requested || !importer.includes(`${path.sep}node_modules${path.sep}`)) return undefined
      const found = await build.resolve(specifier, { kind, importer, resolveDir, pluginData: requested })
      return found.errors.length > 0 ? { path: specifier, external: true } : undefined
    })
  },
}
const requested = Symbol('asked by optionalPackages')

async function put(built: readonly Bundled[], options: BuildOptions): Promise<BuildResult> {
  const outdir = path.resolve(options.outdir ?? path.join(root, 'dist'))
  const outputFiles = built.flatMap((one) => one.outputFiles)
  const metafile: Metafile = {
    inputs: Object.assign({}, ...built.map((one) => one.metafile.inputs)) as Metafile['inputs'],
    outputs: Object.assign({}, ...built.map((one) => one.metafile.outputs)) as Metafile['outputs'],
  }
  const files = new Map(outputFiles.map((file) => [path.basename(file.path), Buffer.from(file.contents)]))
  files.set('package.json', Buffer.from(`${JSON.stringify({ main: 'index.mjs', type: 'module' }, null, 2)}\n`))
  files.set('host.json', await readFile(path.join(root, 'host.json')))
  files.set('LICENCE-NOTICES.txt', Buffer.from(await licenceNotices(root, Object.keys(metafile.inputs))))
  if (!(await holds(outdir, files))) await replace(outdir, files)
  return { outdir, ...sizes(metafile), metafile }
}

async function holds(outdir: string, files: ReadonlyMap<string, Buffer>): Promise<boolean> {
  const there = await readdir(outdir).catch(() => [])
  if (there.length !== files.size) return false
  for (const [name, contents] of files) {
    const old = await readFile(path.join(outdir, name)).catch(() => undefined)
    if (!old?.equals(contents)) return false
  }
  return true
}

/** Writes to a new folder, then renames it. A rename does not replace an existing folder, and another build may run. */
async function replace(outdir: string, files: ReadonlyMap<string, Buffer>): Promise<void> {
  const fresh = beside(outdir, 'new')
  try {
    await mkdir(fresh, { recursive: true })
    for (const [name, contents] of files) await writeFile(path.join(fresh, name), contents)
    await swap(fresh, outdir)
  } finally {
    // On a full disk, a rest would leave less space to the next attempt.
    await rm(fresh, { recursive: true, force: true })
  }
}

async function swap(fresh: string, outdir: string): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    const old = beside(outdir, 'old')
    await rename(outdir, old).catch(() => undefined)
    const refused = await rename(fresh, outdir).then(
      () => undefined,
      (error: unknown) => error,
    )
    await rm(old, { recursive: true, force: true })
    if (refused === undefined) return
    if (attempt === 20) throw new LocalError(`${outdir} could not be replaced: does another program hold it open?`)
    await wait(10 * attempt)
  }
}

function beside(outdir: string, age: 'new' | 'old'): string {
  return `${outdir}.${age}-${process.pid}-${randomBytes(4).toString('hex')}`
}

function sizes({ outputs }: Metafile): Pick<BuildResult, 'entryBytes' | 'totalBytes' | 'telemetryBytes'> {
  // By its name: chunks that are imported on first use have an entry point of their own.
  const entry = Object.keys(outputs).find((file) => path.basename(file) === 'index.mjs') ?? ''
  const reached = new Set<string>()
  const visit = (file: string): void => {
    if (reached.has(file) || !outputs[file]) return
    reached.add(file)
    for (const used of outputs[file].imports) if (used.kind === 'import-statement' && !used.external) visit(used.path)
  }
  visit(entry)
  const bytes = (names: Iterable<string>) => [...names].reduce((sum, name) => sum + (outputs[name]?.bytes ?? 0), 0)
  const chunks = Object.keys(outputs).filter((name) => !name.endsWith('.map'))
  const isTelemetry = (name: string) => path.basename(name) === 'telemetry-worker.mjs'
  return {
    entryBytes: bytes(reached),
    totalBytes: bytes(chunks.filter((name) => !isTelemetry(name))),
    telemetryBytes: bytes(chunks.filter(isTelemetry)),
  }
}

function buildError(error: unknown): unknown {
  const { errors } = error as Partial<BuildFailure>
  return errors ? new LocalError(sentences(errors)) : error
}

function sentences(errors: BuildFailure['errors']): string {
  const lines = errors.map(({ text, location }) =>
    location ? `${location.file}:${location.line}:${location.column}: ${text}` : text,
  )
  return `The build failed.\n${lines.join('\n')}`
}

/** One line about the build for a terminal. */
export function describeBuild({ outdir, entryBytes, totalBytes, telemetryBytes }: BuildResult): string {
  const kilobytes = (bytes: number) => `${(bytes / 1024).toFixed(1)} KB`
  const where = path.relative(process.cwd(), outdir) || '.'
  return `Built ${where}: ${kilobytes(entryBytes)} to start, ${kilobytes(totalBytes)} in all, ${kilobytes(telemetryBytes)} for telemetry.`
}

/** @throws {LocalError} that names the accepted arguments */
function parseArguments() {
  try {
    return parseArgs({
      options: {
        clean: { type: 'boolean', default: false },
        sourcemap: { type: 'boolean', default: false },
        sizes: { type: 'boolean', default: false },
      },
    }).values
  } catch (error) {
    const usage = 'Known are --sizes, --sourcemap and --clean.'
    throw new LocalError(`${(error as Error).message.replace(/\.$/, '')}. ${usage}`, 2)
  }
}

async function main(): Promise<void> {
  const values = parseArguments()
  if (values.clean) {
    await clean()
    return
  }
  const result = await build({ sourcemap: values.sourcemap })
  console.log(describeBuild(result))
  if (values.sizes) console.log(await esbuild.analyzeMetafile(result.metafile, { color: false }))
}

if (isStartedProgram(import.meta.filename)) {
  try {
    await main()
  } catch (error) {
    process.exitCode = reportFailure(error)
  }
}
