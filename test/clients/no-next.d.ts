/** In place of the types of Next.js, which next-auth imports: they make NODE_ENV required for every process. */
export {}
