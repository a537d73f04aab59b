-- Takes subjects out of the consent set and deletes their places, in one step.
--
-- KEYS  consent set
-- ARGV  prefix of places, prefix of withdrawals, life of a withdrawal (ms),
--       subjects (msgpack)
-- Gives how many consented before.

local subjects = cmsgpack.unpack(ARGV[4])
local forgotten = 0
for i = 1, #subjects do
  local subject = subjects[i]
  forgotten = forgotten + redis.call('SREM', KEYS[1], subject)
  redis.call('DEL', ARGV[1] .. subject)
  -- After a deletion: Redis refuses a script for its memory at the first write only.
  redis.call('SET', ARGV[2] .. subject, '', 'PX', ARGV[3])
end
return forgotten
