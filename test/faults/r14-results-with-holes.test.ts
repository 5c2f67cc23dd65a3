import { expect } from 'vitest';
import { Digest } from '../../core/digest.ts';
import { bytesOf } from '../../core/streams.ts';
import {
  ActionCacheDefinition,
  ActionResult,
  Tree,
} from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { Code, codeToJSON } from '../../proto/gen/google/rpc/code.ts';
import { sampleBlob } from '../cache/bytes.ts';
import { rejection } from '../setup/rejection.ts';
import { tempFolder } from '../setup/temp-folder.ts';
import { damageBlob } from './damage-blob.ts';
import { fault, type Saw } from './fault.ts';
import { ServerUnderFault } from './server-under-fault.ts';

const ACTION = sampleBlob(100, 14_000).digest;
const request = { instanceName: '', actionDigest: ACTION.toMessage(), digestFunction: 0 };

async function expectMiss(cache: ServerUnderFault, saw: Saw): Promise<void> {
  const client = cache.channel.client(ActionCacheDefinition);
  const hints = { inlineStdout: false, inlineStderr: false, inlineOutputFiles: [] };
  const error = await rejection(client.getActionResult({ ...request, ...hints }));
  expect([error.code, error.message]).toEqual([Code.NOT_FOUND, `no result of action ${ACTION} is cached`]);
  saw(`${codeToJSON(error.code)}: ${error.message}`);
}
