import { showAxaFr } from './show-axa-fr.ts'

await showAxaFr({ service_worker_relative_url: '/OidcServiceWorker.js', service_worker_only: true })
