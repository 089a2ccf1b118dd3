/** Divides a CPU profile by package, through the source maps of the bundles. */
import { readFileSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { SourceMap } from 'node:module'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

/** The output of `--cpu-prof`, as far as it is read here. */
interface Profile {
  readonly nodes: readonly {
    readonly id: number
    readonly callFrame: {
      readonly functionName: string
      readonly url: string
      readonly lineNumber: number
      readonly columnNumber: number
    }
    readonly children?: readonly number[]
  }[]
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
}

interface Part {
  readonly name: string
  /** Of all that was not idle, from 0 to 1. */
  readonly share: number
}

/** The newest profile of a folder, largest part first. */
export async function readParts(folder: string): Promise<readonly Part[]> {
  const files = (await readdir(folder)).filter((file) => file.endsWith('.cpuprofile')).sort()
  const newest = files.at(-1)
  if (newest === undefined) throw new Error(`There is no profile in ${folder}.`)
  return partsOf(JSON.parse(await readFile(path.join(folder, newest), 'utf8')) as Profile)
}

/**
 * A sample that came late is left out: a thread that lost its core to another process is sampled when it comes back,
 * and would be charged with the work of the others. On few cores this effect makes writing to a socket, which wakes
 * another process, look twice as dear as it is.
 */
export function partsOf({ nodes, samples, timeDeltas }: Profile): readonly Part[] {
  const callers = new Map(nodes.flatMap((node) => (node.children ?? []).map((child) => [child, node.callFrame.url])))
  const names = new Map(nodes.map((node) => [node.id, partOf(node.callFrame, callers.get(node.id) ?? '')]))
  const usual = [...timeDeltas].sort((a, b) => a - b)[Math.floor(timeDeltas.length / 2)] ?? 0
  const spent = new Map<string, number>()
  let all = 0
  samples.forEach((id, index) => {
    const name = names.get(id)
    const microseconds = timeDeltas[index] ?? 0
    if (name === undefined || microseconds > 1.5 * usual) return
    spent.set(name, (spent.get(name) ?? 0) + microseconds)
    all += microseconds
  })
  return [...spent].map(([name, cpu]) => ({ name, share: cpu / all })).sort((a, b) => b.share - a.share)
}

type Frame = Profile['nodes'][number]['callFrame']

function partOf({ functionName, url, lineNumber, columnNumber }: Frame, caller: string): string | undefined {
  if (url !== '')
    return url.startsWith('node:') ? nameOfNode(url) : nameSource(originOf(url, lineNumber, columnNumber) ?? url)
  if (functionName === '(idle)' || functionName === '(root)') return undefined
  if (functionName === '(garbage collector)') return 'garbage collection'
  if (/^write/.test(functionName)) return 'Node: writing to sockets'
  // Written in C++: it belongs to who called it.
  return nameOfNode(caller)
}

function nameOfNode(url: string): string {
  if (url.startsWith('node:internal/deps/undici')) return 'Request and Response (undici)'
  if (url.startsWith('node:internal/crypto')) return 'Node: cryptography'
  if (/^node:(_http|_tls|http|https|net|tls|internal\/(http|tls|net|stream|timers))/.test(url))
    return 'Node: HTTP and TLS'
  return 'Node: everything else'
}

function nameSource(source: string): string {
  // A package may itself be a bundle with its own source map.
  const [, inPackage] = /.*(?:node_modules\/|webpack:\/\/)((?:@[^/]+\/)?[^/]+)\//.exec(source) ?? []
  if (inPackage !== undefined) return inPackage
  if (source.includes('/local/functions-host/') || source.endsWith('/host.mjs')) return 'the functions host'
  const [, folder] = /\/(functions|shared\/[^/]+)\//.exec(source) ?? []
  return folder ?? 'others'
}

const maps = new Map<string, SourceMap | undefined>()

function originOf(url: string, line: number, column: number): string | undefined {
  if (!maps.has(url)) maps.set(url, readMap(url))
  const found = maps.get(url)?.findEntry(line, column)
  return found && 'originalSource' in found ? `/${found.originalSource}` : undefined
}

function readMap(url: string): SourceMap | undefined {
  try {
    const text = readFileSync(`${fileURLToPath(url)}.map`, 'utf8')
    return new SourceMap(JSON.parse(text) as ConstructorParameters<typeof SourceMap>[0])
  } catch {
    return undefined
  }
}

/** Markdown; parts smaller than one in a hundred are added up. */
export function partsTable(parts: readonly Part[]): string {
  const large = parts.filter(({ share }) => share >= 0.01)
  const rest = parts.filter(({ share }) => share < 0.01).reduce((sum, { share }) => sum + share, 0)
  const lines = [...large, { name: 'smaller ones together', share: rest }].map(
    ({ name, share }) => `| ${name} | ${(share * 100).toFixed(1)} % |`,
  )
  return ['| part | share |', '| --- | --- |', ...lines].join('\n')
}
