/** What is written from the declared settings: the example to copy, the page, and the schema of the front ends. */
import * as z from 'zod/mini'
import { clouds } from '../shared/settings/addresses.ts'
import { allDeclarations, declarations, sections } from '../shared/settings/declarations.ts'
import type { Declaration } from '../shared/settings/declarations.ts'
import { frontEndsSchema } from '../shared/settings/front-ends.schema.ts'
import { frontEndMember, otherSourceTypes, secondCredential, usualNames } from '../shared/settings/names.ts'
import { localDefaults } from '../local/local-defaults.ts'
import { table } from './markdown-table.ts'

/** local.settings.example.json: complete, and works when copied to local.settings.json. */
export function exampleSettings(): string {
  return JSON.stringify({ IsEncrypted: false, Values: localDefaults, Host: { LocalHttpPort: 7071 } })
}

/** docs/front-ends.schema.json: JSON Schema 2020-12 of what may stand in Broker__FrontEnds. */
export function publishedFrontEndsSchema(): string {
  return JSON.stringify(z.toJSONSchema(frontEndsSchema, { target: 'draft-2020-12', io: 'input' }))
}

/** docs/settings.md. */
export function settingsPage(): string {
  return `# Settings

<!-- Written by "npm run generate" from shared/settings/declarations.ts: change it there. -->

App settings in Azure, \`Values\` of \`local.settings.json\` on a laptop (copy \`local.settings.example.json\`), or environment variables. Names are as Microsoft.Identity.Web has them, with \`__\` between levels; \`Broker__…\` is the rest. An empty value counts as not set.

The settings are read once, at start. What is wrong with them is reported all at once, by name and with the fix, and never with a value: \`npm start\` ends with exit code 2; on a Functions host every route but \`/health\` answers 503 with that report until it is mended.

${sections.map(section).join('\n\n')}

## Front ends

\`${declarations.frontEnds.name}\` is one JSON array; [front-ends.schema.json](front-ends.schema.json) is its JSON Schema, for an editor or a pipeline to check it by.

\`\`\`json
${JSON.stringify(frontEndsExample(), null, 2)}
\`\`\`

${membersTable()}

Ids are unique; two front ends may share an origin. A member that is not in the table is refused.

## One cloud

The vault and the table service are of the same cloud as the instance. On loopback (\`localhost\`, \`127.0.0.1\`, \`[::1]\`) stand the local parts. Nothing else is taken: no other host, no IP address, no port, no user name, so that a setting cannot send a token elsewhere.

${table(
  ['Cloud', 'Instance', 'Vault', 'Table service'],
  clouds.map(({ name, loginHost, vaultSuffix, tableSuffix }) => [
    name,
    `\`https://${loginHost}/\``,
    `\`https://<name>${vaultSuffix}\``,
    `\`https://<account>${tableSuffix}\``,
  ]),
)}

## Names that other programs read

What people bring along from Microsoft.Identity.Web. Any other name under \`AzureAd__\` and \`Broker__\` is refused as unknown, with the nearest known one.

${table(
  ['Name', 'Here it', 'Do this'],
  [
    ...allDeclarations.flatMap(({ name, olderName }) =>
      olderName === undefined ? [] : [[`\`${olderName}\``, 'is taken', `The older name of \`${name}\`.`]],
    ),
    ...usualNames
      .filter(isNotOlder)
      .map(({ name, takenAs, problem, fix }) => [
        `\`${name}\``,
        takenAs === undefined ? problem : `${problem}; \`${takenAs}\` is taken`,
        fix,
      ]),
    ...otherSourceTypes.map(({ name, problem, fix }) => [`\`SourceType\` = \`${name}\``, problem, fix]),
    ['`AzureAd__ClientCredentials__1__…`', secondCredential.problem, secondCredential.fix],
    ['`Broker__FrontEnds__0__…`', frontEndMember.problem, frontEndMember.fix],
  ],
)}

## What is refused because it is secret

The broker needs no secret: Key Vault signs, and storage is reached by identity. So these are refused wherever they stand, and the report says what to do instead:

- a name that ends in \`ClientSecret\`, and \`AZURE_CLIENT_SECRET\`;
- a private key or a certificate as text (PEM, PFX or DER in base64, a JSON Web Key with its private part) in any setting under \`AzureAd__\` and \`Broker__\`, also inside JSON;
- a connection string with \`AccountKey\`, \`SharedAccessKey\`, \`SharedAccessSignature\` or a signature (\`sig=\`) in one of those settings or in \`AzureWebJobsStorage\`. \`UseDevelopmentStorage=true\` is fine.

What the platform injects by itself (\`MSI_SECRET\`, \`IDENTITY_HEADER\`, \`WEBSITE_AUTH_SIGNING_KEY\`) is not looked at.
`
}

function section(name: (typeof sections)[number]): string {
  const rows = allDeclarations
    .filter((declaration) => declaration.section === name)
    .map((declaration) => [
      `\`${declaration.name}\``,
      declaration.sentence,
      declaration.bounds + (declaration.unit === undefined ? '' : ` ${declaration.unit}`),
      defaultOf(declaration),
      declaration.local === undefined || declaration.name === declarations.frontEnds.name
        ? ''
        : `\`${declaration.local}\``,
    ])
  return `## ${name}\n\n${table(['Name', 'What it is', 'May be', 'Default', 'On a laptop'], rows)}`
}

/** The older list has the same members as the newer one, and the page says so once. */
function isNotOlder({ name }: { name: string }): boolean {
  return !name.includes('__ClientCertificates__')
}

function defaultOf(declaration: Declaration): string {
  if (declaration.default !== undefined) return `\`${declaration.default}\``
  if (declaration.optional) return ''
  return declaration.about === undefined ? '**required**' : `**required** for ${declaration.about}`
}

function frontEndsExample(): unknown {
  const [example] = z.toJSONSchema(frontEndsSchema, { io: 'input' }).examples ?? []
  return example
}

function membersTable(): string {
  const item = z.toJSONSchema(frontEndsSchema, { io: 'input' }).items as JsonSchema
  const api = item.properties?.['apis']?.items
  const rows = (schema: JsonSchema | undefined, prefix: string) =>
    Object.entries(schema?.properties ?? {}).map(([member, { description = '', default: preset }]) => [
      `\`${prefix}${member}\``,
      description,
      schema?.required?.includes(member) && preset === undefined
        ? '**required**'
        : preset === undefined
          ? ''
          : `\`${JSON.stringify(preset)}\``,
    ])
  return table(['Member', 'What it is', 'Default'], [...rows(item, ''), ...rows(api, 'apis[].')])
}

interface JsonSchema {
  readonly description?: string
  readonly default?: unknown
  readonly required?: readonly string[]
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly items?: JsonSchema
}
