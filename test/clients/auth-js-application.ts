/** An application with Auth.js, as its quick start writes it, and a browser at it. */
import { Auth, skipCSRFCheck } from '@auth/core'
import type { OIDCConfig } from '@auth/core/providers'
import { scope, visit } from './person.ts'

/** @param proof how the application proves itself at the token endpoint */
export function visitAuthJs(issuer: string, proof: Pick<OIDCConfig<unknown>, 'client' | 'token'>) {
  return visit((request) =>
    Auth(request, {
      basePath: '/auth',
      secret: 'a secret of the application, 32 bytes',
      trustHost: true,
      skipCSRFCheck,
      providers: [
        {
          id: 'broker',
          name: 'Broker',
          type: 'oidc',
          issuer,
          clientId: 'app',
          authorization: { params: { scope } },
          checks: ['pkce', 'state', 'nonce'],
          ...proof,
        },
      ],
    }),
  )
}
