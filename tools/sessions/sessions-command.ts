/** The command `sessions`: parses the arguments, and repeats the request while the broker returns a continuation. */
import type { LocalError } from '../../local/http-server.ts'
import { pathOf } from '../../shared/http/routes.ts'
import { defined } from '../../shared/json/json.ts'
import type { EndedSessions, ListedSession, ListedSessions } from '../../shared/session/session-administration.ts'
import { parseCommand, wrongUse } from '../operator/command-line.ts'
import { findBroker, postAsOperator } from '../operator/operator-access.ts'
import type { CommandParts } from '../operator/operator-access.ts'

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

const options = {
  subject: { type: 'string' },
  issuer: { type: 'string' },
  'object-id': { type: 'string' },
  username: { type: 'string' },
  tenant: { type: 'string' },
  'front-end': { type: 'string' },
  url: { type: 'string' },
} as const

/** @returns the exit code @throws {LocalError} with the remedy */
export async function runSessionsCommand(args: readonly string[], parts: CommandParts): Promise<number> {
  const { values, positionals } = parseCommand('sessions', args, options, 1)
  const [command] = positionals
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

  const broker = await findBroker(values.url, parts, 'sessions')
  const path = pathOf(command === 'list' ? 'operatorListSessions' : 'operatorEndSessions')
  const doubt = command === 'end' ? 'Sessions may have ended; the command can be repeated.' : undefined
  const post = (body: object) => postAsOperator(broker, path, body, { proxies: parts.proxies, doubt })

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

function usedWrongly(problem: string): LocalError {
  return wrongUse(problem, 'sessions')
}
