/**
 * Counts the files, the compiled code and the requests of a fresh instance until it answers;
 * a busy machine does not change them.
 */
import { setTimeout as wait } from 'node:timers/promises'
import type { RpcHttpData } from '../../local/functions-host/rpc.ts'
import type { Child } from './child.ts'
import { frontEndOrigin } from './driver.ts'
import type { Guest } from './driver.ts'
import { brokerPaths } from './world.ts'
import type { World } from './world.ts'

/** The command for the fresh process. */
export interface ColdStep {
  readonly load?: true
  readonly invoke?: { readonly name: string; readonly http: RpcHttpData }
}

export interface ColdAnswer {
  readonly answer?: Answered | undefined
  readonly failure?: string
  readonly counts: Counts
}

interface Answered {
  readonly status: number
  readonly location: string | undefined
  readonly cookie: string
  readonly body: string
}

/** From the start of the process. */
export interface Counts {
  /** Files of the bundle, each one module. */
  readonly modules: readonly { readonly name: string; readonly bytes: number }[]
  /** Of the bundle's source: functions that were called, and so compiled. */
  readonly calledBytes: number
  /** Node's own modules beyond those that every process has. */
  readonly builtins: readonly string[]
  /** Read while it ran, the bundle's modules apart. */
  readonly otherFiles: readonly string[]
  /** `METHOD url`. */
  readonly requests: readonly string[]
}

/** Each in a process of its own, but for the first two. */
export interface ColdStart {
  readonly registered: Counts
  readonly health: Counts
  readonly login: Counts
  /** Of a person who signed in at another instance. */
  readonly session: Counts
  readonly signedIn: Counts
  /** The same process after its work in the background has ended. */
  readonly settled: Counts
}

/** A store that knows its tables, its key ring and the certificate's record: the second instance of a deployment. */
export async function countColdStart(world: World): Promise<ColdStart> {
  const guest = world.guests[0]
  if (!guest) throw new Error('Nobody is there to sign in.')
  await inFreshProcess(world, (fresh) => signIn(fresh, guest))

  const [registered, health] = await inFreshProcess(world, async (fresh) => {
    const loaded = await fresh.load()
    return [loaded, (await fresh.get('health', '/health')).counts] as const
  })
  const login = await inFreshProcess(world, async (fresh) => {
    await fresh.load()
    return (await fresh.get('login', brokerPaths.loginPath)).counts
  })
  const [cookie, signedIn, settled] = await inFreshProcess(world, async (fresh) => {
    const done = await signIn(fresh, guest)
    return [done.answer.cookie, done.counts, await fresh.settle()] as const
  })
  const session = await inFreshProcess(world, async (fresh) => {
    await fresh.load()
    const read = await fresh.get('session', brokerPaths.sessionPath, cookie)
    if (read.answer.status !== 200) throw new Error(`/session answered ${read.answer.status}: ${read.answer.body}`)
    return read.counts
  })
  return { registered, health, login, session, signedIn, settled }
}

interface Fresh {
  load(): Promise<Counts>
  get(name: string, path: string, cookie?: string): Promise<Done>
  post(name: string, path: string, cookie: string, form: string): Promise<Done>
  settle(): Promise<Counts>
}

interface Done {
  readonly answer: Answered
  readonly counts: Counts
}

async function signIn(fresh: Fresh, { username, visitor }: Guest): Promise<Done> {
  await fresh.load()
  const begun = await fresh.get('login', brokerPaths.loginPath)
  const { fields } = await visitor.signIn(begun.answer.location ?? '', username)
  const form = new URLSearchParams(fields).toString()
  const done = await fresh.post('callback', '/callback', begun.answer.cookie, form)
  if (done.answer.status !== 303) throw new Error(`/callback answered ${done.answer.status}: ${done.answer.body}`)
  return done
}

async function inFreshProcess<Result>(world: World, work: (fresh: Fresh) => Promise<Result>): Promise<Result> {
  const child = await world.startColdStart()
  try {
    return await work(talkTo(child))
  } finally {
    await child.end()
  }
}

function talkTo(child: Child<unknown>): Fresh {
  const tell = async (step: ColdStep): Promise<ColdAnswer> => {
    const reported = (await child.ask(step)) as ColdAnswer
    if (reported.failure !== undefined) throw new Error(`${reported.failure}\n${child.log()}`)
    return reported
  }
  const invoke = async (name: string, http: RpcHttpData): Promise<Done> => {
    const { answer, counts } = await tell({ invoke: { name, http } })
    if (!answer) throw new Error(`${name} gave no answer.`)
    return { answer, counts }
  }
  const counts = async () => (await tell({})).counts
  return {
    load: async () => (await tell({ load: true })).counts,
    get: (name, path, cookie) => invoke(name, rpc('GET', path, cookie === undefined ? {} : { cookie })),
    post: (name, path, cookie, form) =>
      invoke(name, {
        ...rpc('POST', path, { cookie, 'content-type': 'application/x-www-form-urlencoded' }),
        body: { string: form },
      }),
    settle: async () => {
      let before = await counts()
      for (;;) {
        await wait(300)
        const now = await counts()
        if (now.requests.length === before.requests.length && now.modules.length === before.modules.length) return now
        before = now
      }
    },
  }
}

function rpc(method: string, path: string, headers: Readonly<Record<string, string>>): RpcHttpData {
  const all = {
    host: 'localhost:7071',
    accept: 'application/json',
    origin: frontEndOrigin,
    'sec-fetch-site': 'same-site',
  }
  const given = method === 'GET' ? { ...all, ...headers } : { host: all.host, ...headers }
  return {
    method,
    url: `http://localhost:7071${path}`,
    nullableHeaders: Object.fromEntries(Object.entries(given).map(([name, value]) => [name, { value }])),
    nullableQuery: {},
    nullableParams: {},
  }
}

/** The purpose of a request; its URL has a port and a row's name, which differ between runs. */
function purposeOf(request: string): string {
  const [purpose] = purposes.find(([, pattern]) => pattern.test(request)) ?? [request]
  return purpose
}

const purposes: readonly (readonly [purpose: string, pattern: RegExp])[] = [
  ["the provider's metadata", /^GET .*\/\.well-known\/openid-configuration$/],
  ["the provider's keys", /^GET .*\/discovery\/v2\.0\/keys$/],
  ['the key ring', /^GET .*service\(\)\?\$filter=PartitionKey%20eq%20'key-ring'$/],
  ["the certificate's record", /^GET .*service\(PartitionKey='certificate',/],
  ['an identity token', /^GET .*\/msi\/token\?/],
  ["reading the ring's public key", /^GET .*\/keys\/[^/]+\/[0-9a-f]{32}\?/],
  ['unwrapping the ring', /^POST .*\/unwrapkey\?/],
  ['signing the assertion', /^POST .*\/sign\?/],
  ['reading the state', /^POST .*states$/],
  ['redeeming the code', /^POST .*\/oauth2\/v2\.0\/token$/],
  ['keeping the session', /^POST .*sessions$/],
  ['reading the session', /^GET .*sessions\(PartitionKey=/],
]

/** The number of each request, in the order of the first one. */
export function countPurposes({ requests }: Counts): Readonly<Record<string, number>> {
  const counted: Record<string, number> = {}
  for (const request of requests) counted[purposeOf(request)] = (counted[purposeOf(request)] ?? 0) + 1
  return counted
}

/** A line for each step, as Markdown, and the requests to others. */
export function coldTable(cold: ColdStart): string {
  const steps: readonly (readonly [string, Counts])[] = [
    ['the functions are registered', cold.registered],
    ['`/health` answers', cold.health],
    ['`/login` answers', cold.login],
    ['`/session` answers a person who signed in at another instance', cold.session],
    ['a sign-in is done', cold.signedIn],
    ['all work in the background has ended', cold.settled],
  ]
  const lines = steps.map(([step, { modules, calledBytes, builtins, requests }]) =>
    [
      step,
      `${modules.length}`,
      kilobytes(modules.reduce((sum, { bytes }) => sum + bytes, 0)),
      kilobytes(calledBytes),
      `${builtins.length}`,
      `${requests.length}`,
    ].join(' | '),
  )
  const head = 'until … | files | read | compiled, since called | modules of Node | requests'
  const table = [head, head.replaceAll(/[^|]+/g, ' --- '), ...lines].map((line) => `| ${line.trim()} |`)
  const requested = Object.entries(countPurposes(cold.settled)).map(([what, count]) =>
    count === 1 ? what : `${count} × ${what}`,
  )
  return [...table, '', `The ${cold.settled.requests.length} requests: ${requested.join(', ')}.`].join('\n')
}

function kilobytes(bytes: number): string {
  return `${Math.round(bytes / 1024)} KB`
}
