/**
 * The command `sessions`: parses the arguments, finds the broker and its function key, and repeats the request while the
 * broker returns a continuation. The key never comes from an argument, which other processes of the machine can read.
 */
import { parseArgs } from 'node:util'
import { LocalError } from '../../local/http-server.ts'
import { createExchange, ExchangeError, readObject } from '../../shared/http/exchange.ts'
import type { Exchange } from '../../shared/http/exchange.ts'
import { urlOf } from '../../shared/http/routes.ts'
import { defined } from '../../shared/json/json.ts'
import type { ProxyPolicy } from '../../shared/outbound/proxy.ts'
import type { EndedSessions, ListedSession, ListedSessions } from '../../shared/session/operator-sessions.ts'
import { checkBaseUrl } from '../../shared/settings/addresses.ts'

export interface CommandParts {
  readonly environment: Readonly<Record<string, string | undefined>>
  /** local.settings.json; undefined where there is none */
  readonly settingsFile: () => Promise<Readonly<Record<string, string>> | undefined>
  /** The selected environment of azd; it fails without azd. */
  readonly azdValues: () => Promise<Readonly<Record<string, string | undefined>>>
  readonly readKey: (app: { readonly functionApp: string; readonly resourceGroup: string }) => Promise<string>
  readonly proxies: ProxyPolicy
  readonly print: (line: string) => void
}

const usage = `npm run sessions -- list|end SELECTOR… [--url URL] [--json]

list prints how many sessions there are, at which front ends, and their times. end ends them at once, with the refresh
tokens and unredeemed codes of OAuth clients. Every selector that is written must match.

  --subject TEXT       the subject of a person as front ends receive it; with --issuer URL the sub of that issuer
  --object-id GUID     the object id of a person in Entra ID
  --username TEXT      the user name of a person, as it was at the sign-in
  --tenant GUID        all people of a tenant
  --front-end ID       all people at a front end

  --url URL            the broker; otherwise Broker__BaseUrl of the environment or of local.settings.json, or the
                       selected azd environment
  --json               one line of JSON

The function key is read from BROKER_FUNCTION_KEY. Without it, and with a selected azd environment, az reads it.

It ends with 0 when it is done, 1 when something went wrong, 2 when it was used wrongly, 3 when sessions may be left that
a previous release has stored and that cannot be attributed.`

/** @returns the exit code @throws {LocalError} with the remedy */
export async function runSessionsCommand(args: readonly string[], parts: CommandParts): Promise<number> {
  const { command, values } = parse(args)
  if (values.help === true || command === undefined) {
    parts.print(usage)
    return values.help === true ? 0 : 2
  }
  if (command !== 'list' && command !== 'end') throw usedWrongly(`There is no command ${command}: list or end`)
  const selector = defined({
    subject: values.subject,
    issuer: values.issuer,
    object_id: values['object-id'],
    username: values.username,
    tenant: values.tenant,
    front_end: values['front-end'],
  })
  if (Object.keys(selector).length === 0) throw usedWrongly('No selector is written')

  const broker = await findBroker(values.url, parts)
  const exchange = createExchange({ maxBytes: 16 * 1024 * 1024, proxies: parts.proxies })
  const post = (body: object) =>
    request(exchange, {
      url: new URL(urlOf(broker.url, command === 'list' ? 'operatorListSessions' : 'operatorEndSessions')),
      key: broker.key,
      body,
    })

  const sessions: ListedSession[] = []
  let [ended, notAttributed] = [0, 0]
  let continuation: string | undefined
  do {
    const answer = (await post({ ...selector, ...defined({ continuation }) })) as unknown as ListedSessions &
      EndedSessions
    sessions.push(...(command === 'list' ? answer.sessions : []))
    ended += command === 'end' ? answer.ended : 0
    notAttributed += answer.not_attributed
    continuation = answer.continuation
  } while (continuation !== undefined)

  if (values.json === true) {
    const counts = command === 'list' ? { sessions } : { ended }
    parts.print(JSON.stringify({ ...counts, not_attributed: notAttributed }))
  } else {
    for (const line of command === 'list' ? describeSessions(sessions) : [`${plural(ended)} ended.`]) parts.print(line)
    if (notAttributed > 0) {
      parts.print(
        `${plural(notAttributed)} of the previous release may belong to this selector. Look for each person by --subject, or wait for their ends.`,
      )
    }
  }
  return notAttributed > 0 ? 3 : 0
}

function describeSessions(sessions: readonly ListedSession[]): readonly string[] {
  const byFrontEnd = new Map<string, ListedSession[]>()
  for (const session of sessions) {
    const name = session.front_end ?? '(not registered)'
    byFrontEnd.set(name, [...(byFrontEnd.get(name) ?? []), session])
  }
  const latest = (times: readonly (string | undefined)[]) => times.filter((time) => time !== undefined).sort()
  return [
    `${plural(sessions.length)}.`,
    ...[...byFrontEnd].sort().map(([name, some]) => {
      const began = latest(some.map(({ signed_in_at }) => signed_in_at))
      const ends = latest(some.map(({ ends_at }) => ends_at))
      return `  ${name}: ${some.length}, signed in from ${began[0] ?? '?'} to ${began.at(-1) ?? '?'}, the last ends by ${ends.at(-1) ?? '?'}`
    }),
  ]
}

function plural(count: number): string {
  return `${count} session${count === 1 ? '' : 's'}`
}

function parse(args: readonly string[]) {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        subject: { type: 'string' },
        issuer: { type: 'string' },
        'object-id': { type: 'string' },
        username: { type: 'string' },
        tenant: { type: 'string' },
        'front-end': { type: 'string' },
        url: { type: 'string' },
        json: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    })
    if (positionals.length > 1) throw new Error(`${positionals[1] ?? ''} is an unexpected argument`)
    return { command: positionals[0], values }
  } catch (error) {
    throw usedWrongly((error as Error).message)
  }
}

function usedWrongly(problem: string): LocalError {
  return new LocalError(`${problem}. For usage, run: npm run sessions -- --help`, 2)
}

async function findBroker(
  named: string | undefined,
  { environment, settingsFile, azdValues, readKey }: CommandParts,
): Promise<{ readonly url: string; readonly key: string }> {
  const own = named ?? environment.Broker__BaseUrl ?? (await settingsFile())?.Broker__BaseUrl
  const givenKey = environment.BROKER_FUNCTION_KEY
  const azd = own !== undefined && givenKey ? {} : await azdValues().catch(() => ({}))
  const url = own ?? azd.BROKER_BASE_URL
  if (url === undefined) {
    throw usedWrongly('No broker is named: write --url, set Broker__BaseUrl, or select an azd environment')
  }
  // The key is never sent in clear.
  const refusal = checkBaseUrl(url)
  if (refusal) throw usedWrongly(`The broker's URL ${refusal.problem}. ${refusal.fix}`)
  const address = new URL(url).href.replace(/\/$/, '')
  if (givenKey) return { url: address, key: givenKey }

  const { BROKER_FUNCTION_APP_NAME: functionApp, AZURE_RESOURCE_GROUP: resourceGroup } = azd
  // The key of one broker is not sent to another one.
  if (functionApp === undefined || resourceGroup === undefined || azd.BROKER_BASE_URL !== url) {
    throw usedWrongly('No function key is known: set BROKER_FUNCTION_KEY. npm start prints the key of a laptop')
  }
  const key = await readKey({ functionApp, resourceGroup }).catch((cause: unknown) => {
    throw new LocalError(
      `az could not read the function key: sign in with az login, or set BROKER_FUNCTION_KEY. ${String(cause)}`,
    )
  })
  return { url: address, key }
}

/** @throws {LocalError} for a refusal of the host or of the broker */
async function request(
  exchange: Exchange,
  { url, key, body }: { readonly url: URL; readonly key: string; readonly body: object },
): Promise<Readonly<Record<string, unknown>>> {
  // The broker reads for twenty seconds, and a page of the store may be slow.
  const until = performance.now() + 60_000
  const headers = { 'content-type': 'application/json', 'x-functions-key': key }
  const sent = { method: 'POST', path: url.pathname, headers, body: JSON.stringify(body) }
  const response = await exchange(url, sent, until).catch((error: unknown) => {
    if (error instanceof ExchangeError) throw new LocalError(`${url.origin} does not answer: ${error.reason}`)
    throw error
  })
  const { status } = response
  if (status === 401) throw new LocalError('The broker refused the function key (BROKER_FUNCTION_KEY).')
  if (status === 404) throw new LocalError(`${url.href} has no such route: update the broker, or correct the URL.`)
  const json = readObject(response)
  if (status === 200 && typeof json !== 'string') return json
  const { detail, parameter, problem } = (typeof json === 'string' ? {} : json) as Record<string, unknown>
  const texts = [parameter, problem, detail].filter((text) => typeof text === 'string')
  const reference = response.headers['broker-reference']
  throw new LocalError(
    `The broker answered ${status}${texts.length > 0 ? `: ${texts.join(' ')}` : ''}${typeof reference === 'string' ? ` (reference ${reference})` : ''}. Sessions may have ended; the command can be repeated.`,
  )
}
