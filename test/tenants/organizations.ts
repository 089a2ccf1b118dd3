/**
 * Three organizations at a provider for many tenants: their people, and the settings and pages that the tests share.
 */
import { litware } from '../../local/identity-provider/people.ts'
import { localDefaults } from '../../local/local-defaults.ts'
import type { Reply } from '../setup/person.ts'
import { desk } from '../setup/stack.ts'

export const contoso = localDefaults.AzureAd__TenantId!
export const [rosalind, francis] = ['rosalind@fabrikam.example', 'francis@fabrikam.example']
export const [lise, otto, visitor] = ['lise@litware.example', 'otto@litware.example', 'visitor@partner.example']
export const returnUrl = 'http://localhost:3000/a'
export const query = { frontend: 'shop', return_url: returnUrl }
/** Settings of a broker for many tenants, whose app registration is in the tenant of Contoso. */
export const many = { AzureAd__TenantId: 'organizations', Broker__HomeTenantId: contoso }
export const forLitware = { ...desk, tenants: [litware] }

/** The error code of a page; `none` where the answer is no error. */
export const codeOf = ({ text, status }: Reply) => (status < 400 ? 'none' : (/Code: (\w+)/.exec(text)?.[1] ?? text))
/** The links of a page: label and address. */
export const urlsOf = ({ text }: Reply) =>
  [...text.matchAll(/class="way" href="([^"]*)">([^<]*)</g)].map(([, href = '', label = '']) => [
    label,
    href.replaceAll('&#38;', '&'),
  ])
