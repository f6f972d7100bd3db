import type { KubeStatus, StatusDetails } from '../objects.ts';

/** A refusal; the server turns it into an HTTP response. */
export class ApiRefusal extends Error {
  readonly status: KubeStatus;

  constructor(status: KubeStatus) {
    super(status.message ?? status.status);
    this.name = 'ApiRefusal';
    this.status = status;
  }
}

/** Builds a refusal; `reason` and `code` pair up as in k8s.io/apimachinery/pkg/api/errors. */
export function refusal(
  code: number,
  reason: string,
  options: { message: string; details?: StatusDetails },
): ApiRefusal {
  return new ApiRefusal({
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: options.message,
    reason,
    ...(options.details === undefined ? {} : { details: options.details }),
    code,
  });
}

export function unauthorized(): ApiRefusal {
  return refusal(401, 'Unauthorized', { message: 'Unauthorized' });
}

export function badRequest(message: string): ApiRefusal {
  return refusal(400, 'BadRequest', { message });
}

export function notFound(resource: string, name: string): ApiRefusal {
  return refusal(404, 'NotFound', { message: `${resource} "${name}" not found`, details: named(resource, name) });
}

/** The server's response to an unknown path. */
export function unknownPath(): ApiRefusal {
  return refusal(404, 'NotFound', { message: 'the server could not find the requested resource', details: {} });
}

export function methodNotAllowed(): ApiRefusal {
  return refusal(405, 'MethodNotAllowed', {
    message: 'the server does not allow this method on the requested resource',
    details: {},
  });
}

export function alreadyExists(resource: string, name: string): ApiRefusal {
  return refusal(409, 'AlreadyExists', {
    message: `${resource} "${name}" already exists`,
    details: named(resource, name),
  });
}

export function conflict(resource: string, name: string, why: string): ApiRefusal {
  return refusal(409, 'Conflict', {
    message: `Operation cannot be fulfilled on ${resource} "${name}": ${why}`,
    details: named(resource, name),
  });
}

export function expired(wanted: string | number, oldest: number): ApiRefusal {
  return refusal(410, 'Expired', { message: `too old resource version: ${wanted} (${oldest})` });
}

/** A problem of one field, as `field.Error` prints it: `spec.containers[0].image: Required value`. */
export interface FieldProblem {
  field: string;
  reason:
    | 'FieldValueRequired'
    | 'FieldValueInvalid'
    | 'FieldValueDuplicate'
    | 'FieldValueNotFound'
    | 'FieldValueNotSupported'
    | 'FieldValueForbidden';
  message: string;
}

export function invalidPod(name: string, problems: readonly FieldProblem[]): ApiRefusal {
  const texts = problems.map((problem) => `${problem.field}: ${problem.message}`);
  return refusal(422, 'Invalid', {
    message: `Pod "${name}" is invalid: ${texts.length === 1 ? texts[0] : `[${texts.join(', ')}]`}`,
    details: {
      name,
      kind: 'Pod',
      causes: problems.map(({ reason, message, field }) => ({ reason, message, field })),
    },
  });
}

export function internalError(message: string): ApiRefusal {
  return refusal(500, 'InternalError', {
    message: `Internal error occurred: ${message}`,
    details: { causes: [{ reason: '', message }] },
  });
}

/** The client names a version that does not exist yet. */
export function tooLargeVersion(wanted: string, current: number): ApiRefusal {
  return refusal(504, 'Timeout', {
    message: `Timeout: Too large resource version: ${wanted}, current: ${current}`,
    details: {
      causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
      retryAfterSeconds: 1,
    },
  });
}

function named(kind: string, name: string): StatusDetails {
  return name === '' ? { kind } : { name, kind };
}
