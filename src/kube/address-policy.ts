import type { LookupAddress } from 'node:dns';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { C3Error } from '../errors.ts';
import { createNameLookups } from './name-lookups.ts';

/**
 * Which addresses c3 dials for a kubeconfig, which a stranger may have written: public ones, and what the operator opened. It is
 * asked where the connection is made: `checkOrigin` for an address in figures, which no resolver sees, `lookup` for a name.
 */
export interface AddressPolicy {
  /** @throws {C3Error} KUBECONFIG_INVALID when the host of `https://host[:port]` is an address that may not be dialled */
  checkOrigin(origin: string): void;
  /**
   * For `net.connect` in place of `dns.lookup`. What it answers is what is dialled, so that a name cannot be resolved once to be
   * checked and once more to be dialled. One refused address among several refuses the name.
   */
  readonly lookup: LookupFunction;
}

/** The `code` of the error that `lookup` fails with. */
export const ADDRESS_REFUSED = 'ERR_C3_ADDRESS_REFUSED';

/**
 * What is not public, first match wins: IANA's registries of special addresses, and where clouds serve credentials.
 *
 * @see https://www.iana.org/assignments/iana-ipv4-special-registry
 * @see https://www.iana.org/assignments/iana-ipv6-special-registry
 */
const CLASSES: readonly (readonly [string, readonly string[]])[] = [
  ['unspecified', ['0.0.0.0/8', '::/128']],
  ['loopback', ['127.0.0.0/8', '::1/128']],
  ['link-local', ['169.254.0.0/16', 'fe80::/10', 'fec0::/10']],
  ['private', ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7', '64:ff9b:1::/48']],
  ['carrier-grade NAT', ['100.64.0.0/10']],
  ['documentation', ['192.0.2.0/24', '198.51.100.0/24', '203.0.113.0/24', '2001:db8::/32', '3fff::/20']],
  ['multicast', ['224.0.0.0/4', 'ff00::/8']],
  ['reserved', ['192.0.0.0/24', '192.88.99.0/24', '198.18.0.0/15', '240.0.0.0/4', '2001::/23']],
];

/**
 * Where clouds tell a machine its credentials: AWS, Oracle and Scaleway over IPv6, Google's only address of the kind; over IPv4 most of
 * them, containers' too, on the link, Alibaba, Oracle and Azure elsewhere. No cluster is there, so that `C3_ALLOW_NETS` opens none of it,
 * however wide it is.
 */
const NEVER: readonly (readonly [string, readonly string[]])[] = [
  [
    'metadata',
    [
      '169.254.169.254/32',
      '169.254.170.0/24',
      '100.100.100.200/32',
      '192.0.0.192/32',
      '168.63.129.16/32',
      'fd00:ec2::/32',
      'fd00:c1::/32',
      'fd00:42::/32',
      'fd20:ce::254/128',
      'fe80::a9fe:a9fe/128',
    ],
  ],
  ['link-local', ['169.254.0.0/16', 'fe80::/10']],
];

const LISTS = CLASSES.map(([name, nets]) => ({ name, list: toBlockList(nets) }));
const NEVER_LISTS = NEVER.map(([name, nets]) => ({ name, list: toBlockList(nets) }));

/** All that is assigned to the public internet in IPv6 so far: https://www.iana.org/assignments/ipv6-address-space */
const GLOBAL_UNICAST = toBlockList(['2000::/3']);

const LAST = [12, 13, 14, 15] as const;

/**
 * IPv6 addresses that lead to an IPv4 one, and at which of their sixteen bytes it stands: mapped (RFC 4291), the older compatible form,
 * NAT64 (RFC 6052), 6to4 (RFC 3056).
 */
const CARRIERS = toCarriers([
  ['::ffff:0:0/96', LAST],
  ['::/96', LAST],
  ['64:ff9b::/96', LAST],
  ['2002::/16', [2, 3, 4, 5]],
]);
/**
 * Those that lead to one where somebody has set them up to: NAT64 of one's own (RFC 8215) with its four lengths of prefix, SIIT (RFC 2765),
 * Teredo's server (RFC 4380).
 */
const LOCAL_CARRIERS = toCarriers([
  ['64:ff9b:1::/48', LAST],
  ['64:ff9b:1::/48', [6, 7, 9, 10]],
  ['64:ff9b:1::/48', [7, 9, 10, 11]],
  ['64:ff9b:1::/48', [9, 10, 11, 12]],
  ['::ffff:0:0:0/96', LAST],
  ['2001::/32', [4, 5, 6, 7]],
]);
const TEREDO = toBlockList(['2001::/32']);

/** @param allowNets what the operator opened beyond the public internet, as `address/prefix` */
export function createAddressPolicy(allowNets: readonly string[]): AddressPolicy {
  const allowed = toBlockList(allowNets);
  const lookUp = createNameLookups();
  return {
    checkOrigin(origin) {
      // A URL's host is canonical: 0x7f.1, 2130706433 and full-width digits have become 127.0.0.1.
      const host = new URL(origin).hostname.replace(/^\[(.*)\]$/, '$1');
      const refused = isIP(host) === 0 ? undefined : classifyRefused(host, allowed);
      if (refused === undefined) return;
      throw new C3Error('KUBECONFIG_INVALID', `Kubeconfig refused: its server ${toSentence(host, refused)}`, {
        hint: toHint(refused),
      });
    },
    lookup(hostname, options, callback) {
      void lookUp(hostname, options).then(
        (addresses) => {
          const fault = findFault(hostname, addresses, allowed);
          const [first] = fault === null ? addresses : [];
          if (first === undefined) callback(fault ?? new Error(`${hostname} has no address`), '', 0);
          else if (options.all) callback(null, [...addresses]);
          else callback(null, first.address, first.family);
        },
        (error: NodeJS.ErrnoException) => callback(error, '', 0),
      );
    },
  };
}

function findFault(
  hostname: string,
  addresses: readonly LookupAddress[],
  allowed: BlockList,
): NodeJS.ErrnoException | null {
  for (const { address } of addresses) {
    const refused = classifyRefused(address, allowed);
    if (refused === undefined) continue;
    const message = `${hostname} ${toSentence(address, refused)}; ${toHint(refused)}`;
    return Object.assign(new Error(message), { code: ADDRESS_REFUSED });
  }
  return null;
}

function toSentence(address: string, refused: string): string {
  return `has the ${refused} address ${address}, to which c3 does not connect`;
}

function toHint(refused: string): string {
  if (NEVER.some(([name]) => name === refused)) return 'no setting opens it';
  return 'its operator can open a network with C3_ALLOW_NETS';
}

/** The class of an address that may not be dialled; undefined when it may. */
function classifyRefused(address: string, allowed: BlockList): string | undefined {
  const [bare = ''] = address.split('%');
  const family = isIP(bare) === 6 ? 'ipv6' : 'ipv4';
  const { carried, hidden, tunnelled } = family === 'ipv6' ? findCarried(bare) : NOTHING_CARRIED;
  for (const one of [bare, ...carried, ...hidden, ...tunnelled]) {
    const never = NEVER_LISTS.find(({ list }) => list.check(one, one === bare ? family : 'ipv4'));
    if (never) return never.name;
  }
  if (allowed.check(bare, family)) return undefined;
  const [first] = carried;
  if (first !== undefined) return classifyRefused(first, allowed);
  const special = LISTS.find(({ list }) => list.check(bare, family));
  if (special) return special.name;
  if (family === 'ipv6' && !GLOBAL_UNICAST.check(bare, family)) return 'reserved';
  const [end] = tunnelled;
  return end === undefined ? undefined : classifyRefused(end, allowed);
}

/** IPv4 addresses within an IPv6 one. */
interface Carried {
  /** The one that it stands for. */
  readonly carried: readonly string[];
  /** Those to which it may lead here and there. */
  readonly hidden: readonly string[];
  /** The end of a tunnel within a site (ISATAP), whatever the network. */
  readonly tunnelled: readonly string[];
}

const NOTHING_CARRIED: Carried = { carried: [], hidden: [], tunnelled: [] };

/** `::` and `::1` are none of IPv4's. */
function findCarried(address: string): Carried {
  const bytes = toBytes(address);
  if (bytes.slice(0, 14).every((byte) => byte === 0)) return NOTHING_CARRIED;
  const read = (carriers: typeof CARRIERS): string[] =>
    carriers
      .filter(({ list }) => list.check(address, 'ipv6'))
      .map(({ at }) => at.map((index) => bytes[index]).join('.'));
  const last = bytes.slice(12);
  // The address of Teredo's client stands there with every bit turned.
  const client = TEREDO.check(address, 'ipv6') ? [last.map((byte) => 255 - byte).join('.')] : [];
  const isTunnel = /^[02],0,94,254$/.test(bytes.slice(8, 12).join());
  return {
    carried: read(CARRIERS),
    hidden: [...read(LOCAL_CARRIERS), ...client],
    tunnelled: isTunnel ? [last.join('.')] : [],
  };
}

/** The sixteen bytes of an IPv6 address. */
function toBytes(address: string): number[] {
  return toGroups(address).flatMap((group) => [group >> 8, group & 0xff]);
}

/** The eight groups of an IPv6 address. */
function toGroups(address: string): number[] {
  // A URL writes it canonically, with hexadecimal groups only and at most one "::".
  const text = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const [head = [], tail = []] = text.split('::').map((part) => (part === '' ? [] : part.split(':')));
  const zeros = Array.from({ length: 8 - head.length - tail.length }, () => '0');
  return [...head, ...zeros, ...tail].map((group) => Number.parseInt(group, 16));
}

function toCarriers(
  carriers: readonly (readonly [net: string, at: readonly number[]])[],
): readonly { readonly list: BlockList; readonly at: readonly number[] }[] {
  return carriers.map(([net, at]) => ({ list: toBlockList([net]), at }));
}

function toBlockList(nets: readonly string[]): BlockList {
  const list = new BlockList();
  for (const net of nets) {
    const [address = '', prefix] = net.split('/');
    list.addSubnet(address, Number(prefix), isIP(address) === 6 ? 'ipv6' : 'ipv4');
  }
  return list;
}
