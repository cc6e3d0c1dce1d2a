// Loaded before a program whose hosts are built in (`node --import`): connections to
// api.pinecone.io go to this machine, as a line in the hosts file would have it, and those to port
// 443 to the port in LODGEPOLE_URL, as a redirect of that port would. It needs no rights. Nothing
// else is touched: the name, and the certificate for it, are checked as ever.

import { createRequire } from 'node:module';

const tls = createRequire(import.meta.url)('node:tls');
const here = new URL(process.env.LODGEPOLE_URL);
const connect = tls.connect;

tls.connect = (options, ...rest) => {
  if (options?.host !== 'api.pinecone.io') return connect(options, ...rest);
  const port = Number(options.port) === 443 ? here.port : options.port;
  const name = options.servername ?? options.host;
  return connect({ ...options, host: here.hostname, port, servername: name }, ...rest);
};
