/** The least that a function app can be: what registering costs before there is anything of ours in it. */
import { app } from '@azure/functions'

app.http('hello', {
  route: 'hello',
  methods: ['GET'],
  authLevel: 'anonymous',
  handler: () => Promise.resolve({ body: 'hello' }),
})
