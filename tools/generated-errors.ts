/** Generates docs/errors.md from the error catalogue and the remedies for Azure's refusals. */
import { graphRemedies } from '../shared/certificate/graph-refusals.ts'
import { errorCatalogue } from '../shared/errors/catalogue.ts'
import type { ResponsibleParty } from '../shared/errors/catalogue.ts'
import { tableRemedies } from '../shared/store/azure-table/table-refusals.ts'
import { identityNumberRemedies, identityStatusRemedies } from '../shared/vault/identity-refusals.ts'
import { vaultRemedies } from '../shared/vault/key-vault/vault-refusals.ts'
import { table } from './markdown-table.ts'

const responsibleParties: Readonly<Record<ResponsibleParty, string>> = {
  person: 'The person resolves these, usually by a new sign-in. A front end shows the title, or follows `sign_in_url`.',
  'front end': 'The developer of the front end resolves these: the request or the registration is wrong.',
  operator: 'The operator of the broker resolves these. They end no session.',
  provider: 'The identity provider causes these; most of them pass without action.',
}

/** docs/errors.md. */
export function errorsPage(): string {
  return `# Errors

<!-- Written by "npm run generate" from shared/errors/catalogue.ts: change it there. -->

This page lists every error code with its HTTP status, its meaning and its remedy.

Codes are stable: branch on \`code\`, never on a text. Every error has a reference. The page, the problem details, the header \`Broker-Reference\` and the log contain the same reference; the log contains the cause.

A script receives problem details ([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)). A person sees a page with the same title and remedy, and with links to sign in or to return, as soon as the request or the browser names a registered front end; otherwise the page describes in one sentence how to continue:

\`\`\`json
${JSON.stringify(example(), null, 2)}
\`\`\`

A 503 carries \`Retry-After\`. Some codes have further members: \`signed_out\` and \`interaction_required\` have \`sign_in_url\`, \`parameter_invalid\` has \`parameter\` and \`problem\`, \`parameter_repeated\` has \`parameter\`, \`front_end_unknown\` has \`registration\` (a line that registers it), \`settings_invalid\` has \`settings\`.

${(Object.keys(responsibleParties) as ResponsibleParty[]).map(section).join('\n\n')}

${azureSection()}
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

${table(['Code', 'Status', 'Title', 'Remedy'], rows)}`
}

/** The operator reads these remedies in place of the general ones, where the service's answer names the cause. */
function azureSection(): string {
  const rows = (service: string, code: string, remedies: Readonly<Record<string, string>>) =>
    Object.entries(remedies).map(([answer, remedy]) => [service, `\`${answer}\``, `\`${code}\``, sentence(remedy)])
  const vault = Object.entries(vaultRemedies).map(([answer, { code = 'vault_forbidden', remedy }]) => [
    'Key Vault',
    `\`${answer}\``,
    `\`${code}\``,
    sentence(remedy),
  ])
  const numbers = Object.fromEntries(
    Object.entries(identityNumberRemedies).map(([number, remedy]) => [`AADSTS${number}`, remedy]),
  )
  return `## Refusals by Azure services

Where a service's answer names the cause, \`/health/detail\`, the page and the problem details show the remedy from this table in place of the general one. The log contains the service's code. An unknown code leaves the general remedy.

${table(
  ['Service', 'Its code or status', 'Error code', 'Remedy'],
  [
    ...vault,
    ...rows('Table service', 'store_unavailable', tableRemedies),
    ...rows('Identity endpoint', 'managed_identity_unavailable', { ...identityStatusRemedies, ...numbers }),
    ...rows('Microsoft Graph', 'registration_refused', graphRemedies),
  ],
)}`
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}`
}
