/** The arguments of `npm start`, and the port of the broker. */
import { parseArgs } from 'node:util'
import { LocalError } from './http-server.ts'
import { fixedPorts } from './ports.ts'

export interface StartArguments {
  readonly json: boolean
  readonly withBroker: boolean
  /** Undefined: the port of Broker__BaseUrl. */
  readonly port: number | undefined
  readonly inspect: string | undefined
  readonly help: boolean
}

export const startUsage = `npm start -- [--port N] [--json] [--without-broker] [--inspect PORT]

  --port N           the port of the broker; 0 selects free ports for every part
  --json             one line of JSON on standard output when everything answers
  --without-broker   every part except the broker, as npm run local
  --inspect PORT     lets a debugger connect to the broker at this port`

/** @throws {LocalError} that names the accepted arguments */
export function parseStartArguments(commandLine: readonly string[]): StartArguments {
  const { port, inspect, ...flags } = parse(commandLine)
  if (port !== undefined && !isPort(port)) throw new LocalError('--port must be a number from 0 to 65535.')
  if (inspect !== undefined && !isPort(inspect)) throw new LocalError('--inspect must be a number from 0 to 65535.')
  return {
    json: flags.json,
    withBroker: !flags['without-broker'],
    port: port === undefined ? undefined : Number(port),
    inspect,
    help: flags.help,
  }
}

function parse(commandLine: readonly string[]) {
  try {
    return parseArgs({
      args: [...commandLine],
      options: {
        port: { type: 'string' },
        json: { type: 'boolean', default: false },
        'without-broker': { type: 'boolean', default: false },
        inspect: { type: 'string' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }).values
  } catch (error) {
    const usage = 'Known are --port N, --json, --without-broker, --inspect PORT and --help.'
    throw new LocalError(`${(error as Error).message.replace(/\.$/, '')}. ${usage}`)
  }
}

/** An empty text is none: `--port $PORT` without the variable would select free ports. */
function isPort(text: string): boolean {
  return /^\d{1,5}$/.test(text) && Number(text) < 65536
}

/**
 * @param baseUrl Broker__BaseUrl, which may be none: the settings are checked later
 * @returns the port at which the broker listens. Another server has the port of https, and forwards to the usual one
 */
export function brokerPortOf(baseUrl: string | undefined): number {
  const url = URL.parse(baseUrl ?? '')
  return url?.protocol === 'http:' ? Number(url.port || 80) : fixedPorts.broker
}
