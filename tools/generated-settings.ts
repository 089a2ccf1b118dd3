/** Generates the example settings, docs/settings.md and the schema of the front ends from the declarations. */
import * as z from 'zod/mini'
import { clouds } from '../shared/settings/clouds.ts'
import { allDeclarations, declarations } from '../shared/settings/declarations.ts'
import { sections } from '../shared/settings/declare.ts'
import type { Declaration } from '../shared/settings/declare.ts'
import { frontEndsSchema } from '../shared/settings/front-ends.schema.ts'
import {
  frontEndMember,
  otherSourceTypes,
  providerMember,
  secondCredential,
  usualNames,
} from '../shared/settings/names.ts'
import { providersSchema } from '../shared/settings/providers.schema.ts'
import { localDefaults } from '../local/local-defaults.ts'
import { table } from './markdown-table.ts'

/** local.settings.example.json: complete, and works when copied to local.settings.json. */
export function exampleSettings(): string {
  return JSON.stringify({ IsEncrypted: false, Values: localDefaults, Host: { LocalHttpPort: 7071 } })
}

/** docs/front-ends.schema.json: JSON Schema 2020-12 of Broker__FrontEnds. */
export function publishedFrontEndsSchema(): string {
  return JSON.stringify(z.toJSONSchema(frontEndsSchema, { target: 'draft-2020-12', io: 'input' }))
}

/** docs/providers.schema.json: JSON Schema 2020-12 of Broker__Providers. */
export function publishedProvidersSchema(): string {
  return JSON.stringify(z.toJSONSchema(providersSchema(), { target: 'draft-2020-12', io: 'input' }))
}

/** docs/settings.md. */
export function settingsPage(): string {
  return `# Settings

<!-- Written by "npm run generate" from the declarations in shared/settings/: change it there. -->

This page lists every setting with its bounds and default, the accepted hosts, and the reasons for which settings are refused.

Settings are app settings in Azure, \`Values\` of \`local.settings.json\` on a laptop (copy \`local.settings.example.json\`), or environment variables. Names follow Microsoft.Identity.Web, with \`__\` between levels; all others begin with \`Broker__\`. An empty value counts as not set.

The settings are read once, at start. All problems are reported at once, by name and with the fix, and never with a value: \`npm start\` ends with exit code 2; on a Functions host every route except \`/health\` answers 503 with that report until the settings are corrected. A fault in the telemetry settings is only a warning in the log: telemetry is off, and the broker works.

${sections.map(section).join('\n\n')}

## Front ends

\`${declarations.frontEnds.name}\` is one JSON array; [front-ends.schema.json](front-ends.schema.json) is its JSON Schema, with which an editor or a pipeline can check it.

\`\`\`json
${JSON.stringify(exampleOf(frontEndsSchema), null, 2)}
\`\`\`

${membersTable(frontEndsSchema)}

Ids are unique; two front ends may share an origin. A member that is not in the table is refused.

## Providers

\`${declarations.providers.name}\` is one JSON array; [providers.schema.json](providers.schema.json) is its JSON Schema. It names the identity providers beside the primary one, which the settings above describe. [Identity providers](providers.md#more-than-one-provider) explains how one of them is chosen.

\`\`\`json
${JSON.stringify(exampleOf(providersSchema()), null, 2)}
\`\`\`

${membersTable(providersSchema())}

Ids, issuers and domains are unique. A member that is not in the table, or that belongs to another kind, is refused.

## Clouds and hosts

The vault, the table service and Graph belong to the same cloud as the instance. On loopback (\`localhost\`, \`127.0.0.1\`, \`[::1]\`) run the local parts. Any other host, an IP address, a port or a user name is refused, so that a setting cannot send a token to another server. \`${declarations.additionalHosts.name}\` adds a host by its full name.

${table(
  ['Cloud', 'Instance', 'Vault', 'Table service', 'Graph'],
  clouds.map(({ name, loginHost, vaultSuffix, tableSuffix, graphHosts }) => [
    name,
    `\`https://${loginHost}/\``,
    `\`https://<name>${vaultSuffix}\``,
    `\`https://<account>${tableSuffix}\``,
    graphHosts.map((host) => `\`https://${host}\``).join(', '),
  ]),
)}

Storage accounts with DNS zone endpoints (\`https://<account>.z<number>.table.storage.azure.net\`) are accepted in the public cloud.

## Names of Microsoft.Identity.Web

Configurations for Microsoft.Identity.Web may contain these names. Any other name under \`AzureAd__\` and \`Broker__\` is refused as unknown, with the nearest known name.

${table(
  ['Name', 'In this broker it', 'Fix'],
  [
    ...allDeclarations.flatMap(({ name, olderName }) =>
      olderName === undefined ? [] : [[`\`${olderName}\``, 'is accepted', `The older name of \`${name}\`.`]],
    ),
    ...usualNames
      .filter(isNotOlder)
      .map(({ name, takenAs, problem, fix }) => [
        `\`${name}\``,
        takenAs === undefined ? problem : `${problem}; \`${takenAs}\` is accepted`,
        fix,
      ]),
    ...otherSourceTypes.map(({ name, problem, fix }) => [`\`SourceType\` = \`${name}\``, problem, fix]),
    ['`AzureAd__ClientCredentials__1__…`', secondCredential.problem, secondCredential.fix],
    ['`Broker__FrontEnds__0__…`', frontEndMember.problem, frontEndMember.fix],
    ['`Broker__Providers__0__…`', providerMember.problem, providerMember.fix],
  ],
)}

## Refused secrets

The broker needs no secret: Key Vault signs, and storage is accessed by managed identity. The following settings are refused, and the report names the alternative:

- a name that ends in \`ClientSecret\`, and \`AZURE_CLIENT_SECRET\`, \`AZURE_CLIENT_CERTIFICATE_PASSWORD\` and \`AZURE_PASSWORD\`;
- a private key or a certificate as text (PEM, PFX or DER in base64, a JSON Web Key with its private part) in any setting under \`AzureAd__\` and \`Broker__\`, also inside JSON;
- a connection string with \`AccountKey\`, \`SharedAccessKey\`, \`SharedAccessSignature\` or a signature (\`sig=\`) in one of those settings or in \`AzureWebJobsStorage\`. \`UseDevelopmentStorage=true\` is accepted.

Values that the platform injects (\`MSI_SECRET\`, \`IDENTITY_HEADER\`, \`WEBSITE_AUTH_SIGNING_KEY\`) are not checked. Secrets of other programs in the shell of \`npm start\` are removed with a warning.

## Refused switches

These environment variables switch off a check, redirect tokens, or write tokens to a log or a file. They are refused as soon as one address in the settings is outside loopback; otherwise each is a warning.

- \`NODE_TLS_REJECT_UNAUTHORIZED=0\`;
- \`NODE_OPTIONS\` with \`--insecure-http-parser\`, \`--security-revert\`, \`--use-openssl-ca\`, \`--tls-min-v1.0\` or \`--tls-min-v1.1\`, a weak \`--tls-cipher-list\`, \`--tls-keylog\`, \`--trace-tls\`, \`--inspect\`, \`--inspect-brk\`, \`--inspect-wait\` or \`--heapsnapshot-…\`;
- \`NODE_DEBUG\` for HTTP;
- \`MSAL_FORCE_REGION\`;
- \`MSI_ENDPOINT\`, \`IMDS_ENDPOINT\` and \`AZURE_POD_IDENTITY_AUTHORITY_HOST\` with an address that is neither loopback nor link-local.

## Unresolved references

App Service replaces a reference (\`@Microsoft.KeyVault(…)\`, \`@Microsoft.AppConfiguration(…)\`) before the process starts. A setting that still contains the reference is refused as *not resolved*. The page "Environment variables" of the function app shows the status of each reference. Usual reasons: the identity of the reference lacks permission to read the secret, the vault's firewall blocks the app, or the secret or its version is missing or disabled. The broker needs no reference, because none of its settings is a secret.
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
  return `## ${name}\n\n${table(['Name', 'Purpose', 'Accepted values', 'Default', 'On a laptop'], rows)}`
}

/** The older list has the same members as the newer one; the page lists them once. */
function isNotOlder({ name }: { name: string }): boolean {
  return !name.includes('__ClientCertificates__')
}

function defaultOf(declaration: Declaration): string {
  if (declaration.default !== undefined) return `\`${declaration.default}\``
  if (declaration.optional) return ''
  return declaration.about === undefined ? '**required**' : `**required** for ${declaration.about}`
}

function exampleOf(schema: z.core.$ZodType): unknown {
  const [example] = z.toJSONSchema(schema, { io: 'input' }).examples ?? []
  return example
}

function membersTable(schemaOfList: z.core.$ZodType): string {
  const item = z.toJSONSchema(schemaOfList, { io: 'input' }).items as JsonSchema
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
  return table(['Member', 'Purpose', 'Default'], [...rows(item, ''), ...rows(api, 'apis[].')])
}

interface JsonSchema {
  readonly description?: string
  readonly default?: unknown
  readonly required?: readonly string[]
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly items?: JsonSchema
}
