/** What is written from the catalogue of errors: docs/errors.md. */
import { errorCatalogue } from '../shared/errors/errors.ts'
import type { ResponsibleParty } from '../shared/errors/errors.ts'
import { table } from './markdown-table.ts'

const responsibleParties: Readonly<Record<ResponsibleParty, string>> = {
  person: 'The person mends these, mostly by signing in again. A front end shows the title, or follows `sign_in_url`.',
  'front end': 'The developer of the front end mends these: the request is wrong, or the registration is.',
  operator: 'Whoever runs the broker mends these. Nobody is signed out by them.',
  provider: 'These are the identity provider’s, and mostly pass by themselves.',
}

/** docs/errors.md. */
export function errorsPage(): string {
  return `# Errors

<!-- Written by "npm run generate" from shared/errors/errors.ts: change it there. -->

Codes are stable: branch on \`code\`, never on a text. Every failure has a reference; the same one stands on the page, in the problem details, in the header \`Broker-Reference\` and in the log, where the cause is.

A script gets problem details ([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)), a person a page with the same title, what to do, and links onward:

\`\`\`json
${JSON.stringify(example(), null, 2)}
\`\`\`

A 503 carries \`Retry-After\`. Some codes have further members: \`signed_out\` and \`interaction_required\` have \`sign_in_url\`, \`parameter_invalid\` has \`parameter\` and \`problem\`, \`parameter_repeated\` has \`parameter\`, \`front_end_unknown\` has \`registration\` (the line that would register it), \`settings_invalid\` has \`settings\`.

${(Object.keys(responsibleParties) as ResponsibleParty[]).map(section).join('\n\n')}
`
}

function example(): object {
  const { title, status, remedy, responsible } = errorCatalogue.front_end_missing
  const code = 'front_end_missing'
  return {
    type: `about:blank#${code}`,
    title,
    status,
    detail: remedy,
    code,
    responsible,
    reference: '4bf92f3577b34da6a3ce929d0e0e4736',
  }
}

function section(responsible: ResponsibleParty): string {
  const rows = Object.entries(errorCatalogue)
    .filter(([, entry]) => entry.responsible === responsible)
    .map(([code, { status, title, remedy }]) => [`\`${code}\``, String(status), title, remedy])
  return `## ${responsible.charAt(0).toUpperCase()}${responsible.slice(1)}

${responsibleParties[responsible]}

${table(['Code', 'Status', 'What happened', 'What to do'], rows)}`
}
