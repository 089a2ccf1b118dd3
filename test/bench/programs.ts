/** The programs under test, as JavaScript: stripping types would cost more CPU than what is measured. */
import { copyFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import * as esbuild from 'esbuild'
import { build } from '../../tools/build.ts'
import type { BuildResult } from '../../tools/build.ts'
import { bundleFunctionsHost } from '../setup/bundle-host.ts'

export type PeerName = 'openid-client' | 'express-openid-connect' | 'functions' | 'functions, bundled'

export interface Programs {
  /** The functions host with the broker's bundle, or with another build of it. */
  readonly broker: (dist?: string) => readonly string[]
  /** The functions host with one function that does no work. */
  readonly bare: readonly string[]
  readonly peers: Readonly<Record<PeerName, readonly string[]>>
  /** Loads the broker's bundle bare, and counts. */
  readonly coldStart: readonly string[]
  /** A worker that has loaded the bare function, and then loads one of these apps. */
  readonly specialise: {
    readonly program: readonly string[]
    readonly apps: Readonly<Record<'broker' | 'bare', string>>
  }
  /** The Functions library on node:http, with the same function. */
  readonly library: readonly string[]
  /** node:http alone. */
  readonly plain: readonly string[]
  readonly sizes: Pick<BuildResult, 'entryBytes' | 'totalBytes' | 'telemetryBytes'>
}

/** The broker's bundle and the functions host, as `build` and `bundleFunctionsHost` made them. */
export interface BuiltBroker extends Pick<BuildResult, 'outdir' | 'entryBytes' | 'totalBytes' | 'telemetryBytes'> {
  readonly hostProgram: string
}

interface ProgramOptions {
  /** Of the broker's bundle, for reading profiles. */
  readonly sourcemap?: boolean
  /** Used in place of a new build. */
  readonly broker?: BuiltBroker
}

/**
 * @param folder inside the project, so that the peers find their packages:
 *   these are not bundled, as is usual for express
 */
export async function buildPrograms(folder: string, options: ProgramOptions = {}): Promise<Programs> {
  const { sourcemap = false } = options
  const file = (name: string) => path.join(folder, name)
  const source = (name: string) => path.join(import.meta.dirname, name)
  const sources = {
    'openid-client': source('peer.openid-client.ts'),
    'express-openid-connect': source('peer.express-openid-connect.ts'),
    library: source('library.ts'),
    plain: source('plain.ts'),
    usage: source('usage.ts'),
    'cold-start': source('cold-start.ts'),
    specialise: source('specialise.ts'),
  }
  const [broker] = await Promise.all([
    options.broker ?? buildBroker(file('broker'), file('host.mjs'), sourcemap),
    bundleApp(source('bare-function/index.ts'), file('bare')),
    bundleApp(source('bare-function/index.ts'), file('bare-again')),
    compileApp(source('peer-functions/index.ts'), file('functions')),
    bundleApp(source('peer-functions/index.ts'), file('functions-bundled')),
    esbuild.build({
      entryPoints: sources,
      outdir: folder,
      outExtension: { '.js': '.mjs' },
      bundle: true,
      packages: 'external',
      format: 'esm',
      platform: 'node',
      target: 'node22',
      logLevel: 'silent',
    }),
  ])
  const usage = ['--import', file('usage.mjs')]
  const hosted = (dist: string) => [...usage, broker.hostProgram, '--dist', dist, '--port', '0']
  return {
    broker: (dist = broker.outdir) => hosted(dist),
    bare: hosted(file('bare')),
    peers: {
      'openid-client': [...usage, file('openid-client.mjs')],
      'express-openid-connect': [...usage, file('express-openid-connect.mjs')],
      functions: hosted(file('functions')),
      'functions, bundled': hosted(file('functions-bundled')),
    },
    coldStart: [file('cold-start.mjs'), broker.outdir],
    specialise: {
      program: [file('specialise.mjs'), file('bare')],
      apps: { broker: broker.outdir, bare: file('bare-again') },
    },
    library: [...usage, file('library.mjs'), file('bare')],
    plain: [...usage, file('plain.mjs')],
    sizes: broker,
  }
}

async function buildBroker(outdir: string, hostProgram: string, sourcemap: boolean): Promise<BuiltBroker> {
  const [built] = await Promise.all([build({ outdir, sourcemap }), bundleFunctionsHost(hostProgram)])
  return { ...built, hostProgram }
}

/** A function app as the templates of Azure Functions deploy it: compiled, with its packages in `node_modules`. */
async function compileApp(entry: string, outdir: string): Promise<void> {
  await esbuild.build({ ...appOptions(entry, outdir), packages: 'external' })
  await describeApp(outdir)
}

/** The same with more care for its start: bundled by esbuild, without the plugins of the broker's own build. */
async function bundleApp(entry: string, outdir: string): Promise<void> {
  await esbuild.build({
    ...appOptions(entry, outdir),
    splitting: true,
    minify: true,
    mainFields: ['module', 'main'],
    external: ['@azure/functions-core'],
    // The worker supplies that module to `require` alone, and an SDK requires modules of Node.
    banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
  })
  await describeApp(outdir)
}

function appOptions(entry: string, outdir: string) {
  return {
    entryPoints: { index: entry },
    outdir,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node22',
    logLevel: 'silent',
  } satisfies esbuild.BuildOptions
}

async function describeApp(outdir: string): Promise<void> {
  await writeFile(path.join(outdir, 'package.json'), JSON.stringify({ main: 'index.mjs', type: 'module' }))
  await copyFile(path.join(import.meta.dirname, '../../host.json'), path.join(outdir, 'host.json'))
}
