/**
 * Requests of an operator's command to the broker: finds the broker and its function key, and sends JSON to an
 * operator's route. The key never comes from an argument, which other processes of the machine can read.
 */
import { LocalError } from '../../local/http-server.ts'
import { createExchange, ExchangeError, readObject } from '../../shared/http/exchange.ts'
import type { ProxyPolicy } from '../../shared/outbound/proxy.ts'
import { checkBaseUrl } from '../../shared/settings/addresses.ts'
import { wrongUse } from './command-line.ts'

interface FoundBroker {
  readonly url: string
  readonly key: string
}

export interface CommandParts {
  readonly environment: Readonly<Record<string, string | undefined>>
  /** local.settings.json; undefined where there is none */
  readonly settingsFile: () => Promise<Readonly<Record<string, string>> | undefined>
  /** The selected environment of azd; empty without azd. */
  readonly azdValues: () => Promise<Readonly<Record<string, string | undefined>>>
  readonly readKey: (app: { readonly functionApp: string; readonly resourceGroup: string }) => Promise<string>
  readonly proxies: ProxyPolicy
  readonly print: (line: string) => void
}

/** @throws {LocalError} where broker or key are not known */
export async function findBroker(
  named: string | undefined,
  { environment, settingsFile, azdValues, readKey }: CommandParts,
  command: string,
): Promise<FoundBroker> {
  const usedWrongly = (problem: string) => wrongUse(problem, command)
  const own = named ?? (environment.Broker__BaseUrl || (await settingsFile())?.Broker__BaseUrl || undefined)
  // A key that was read from a file may end in a line break.
  const givenKey = environment.BROKER_FUNCTION_KEY?.trim()
  if (givenKey && !/^[\x21-\x7e]+$/.test(givenKey)) {
    throw usedWrongly('BROKER_FUNCTION_KEY contains white space or a character outside ASCII. Copy the key again')
  }
  const azd = own !== undefined && givenKey ? {} : await azdValues()
  const url = own ?? azd.BROKER_BASE_URL
  if (url === undefined) {
    throw usedWrongly('No broker is named: write --url, set Broker__BaseUrl, or select an azd environment')
  }
  // The key is never sent in clear.
  const refusal = checkBaseUrl(url)
  if (refusal) throw usedWrongly(`The broker's URL ${refusal.problem}. ${refusal.fix}`)
  const address = withoutSlash(url)
  if (givenKey) return { url: address, key: givenKey }

  const { BROKER_FUNCTION_APP_NAME: functionApp, AZURE_RESOURCE_GROUP: resourceGroup } = azd
  // The key of one broker is not sent to another one.
  const isDeployed = URL.canParse(azd.BROKER_BASE_URL ?? '') && withoutSlash(azd.BROKER_BASE_URL ?? '') === address
  if (functionApp === undefined || resourceGroup === undefined || !isDeployed) {
    throw usedWrongly('No function key is known: set BROKER_FUNCTION_KEY. npm start prints the key of a laptop')
  }
  const key = await readKey({ functionApp, resourceGroup }).catch((cause: unknown) => {
    throw new LocalError(
      `az could not read the function key: sign in with az login, or set BROKER_FUNCTION_KEY. ${String(cause)}`,
    )
  })
  return { url: address, key }
}

/** @param url of a broker; another spelling of the same URL is the same broker */
function withoutSlash(url: string): string {
  return new URL(url).href.replace(/\/$/, '')
}

/**
 * @param path of the route
 * @param doubt sentence for a failure after which the change may have happened; undefined where nothing changes
 * @throws {LocalError} for a refusal of the host or of the broker
 */
export async function postAsOperator(
  { url: base, key }: FoundBroker,
  path: string,
  body: object,
  { proxies, doubt }: { readonly proxies: ProxyPolicy; readonly doubt: string | undefined },
): Promise<Readonly<Record<string, unknown>>> {
  const exchange = createExchange({ maxBytes: 16 * 1024 * 1024, proxies })
  const url = new URL(`${base}${path}`)
  // The broker reads for twenty seconds, and a page of the store may be slow.
  const until = performance.now() + 60_000
  const headers = { 'content-type': 'application/json', 'x-functions-key': key }
  const sent = { method: 'POST', path: url.pathname, headers, body: JSON.stringify(body) }
  const response = await exchange(url, sent, until).catch((error: unknown) => {
    if (!(error instanceof ExchangeError)) throw error
    const sentence = `${url.origin} does not answer (${error.reason}). Check the URL, the network, and HTTPS_PROXY and NO_PROXY.`
    throw new LocalError([sentence, doubt].join(' ').trimEnd())
  })
  const { status } = response
  if (status === 401) throw new LocalError('The broker refused the function key (BROKER_FUNCTION_KEY).')
  const json = readObject(response)
  // The 404 of the broker names the unknown tenant; a host without the route sends no problem details.
  if (status === 404 && typeof json === 'string') {
    throw new LocalError(`${url.href} has no such route: update the broker, or correct the URL.`)
  }
  if (status === 200 && typeof json !== 'string') return json
  // A page of a front end, or a redirect.
  if (status < 400) throw new LocalError(`${url.href} does not answer as a broker (${status}): correct the URL.`)
  const { detail, parameter, problem } = (typeof json === 'string' ? {} : json) as Record<string, unknown>
  // The remedy of a faulty parameter is for front ends: its problem is enough here.
  const isParameter = typeof parameter === 'string' && typeof problem === 'string'
  const cause = isParameter ? `${parameter}: ${problem}.` : detail
  const reference = response.headers['broker-reference']
  const sentences = [
    typeof cause === 'string' ? `The broker answered ${status}: ${cause}` : `The broker answered ${status}.`,
    ...(typeof reference === 'string' ? [`Reference: ${reference}.`] : []),
    // A refusal changes nothing.
    ...(status < 500 ? [] : [doubt]),
  ]
  throw new LocalError(sentences.join(' ').trimEnd())
}
