-- Makes the consent set hold exactly these subjects, and forgets the places of others.
--
-- KEYS  seeded marker, consent set
-- ARGV  prefix of places, prefix of withdrawals, subjects (msgpack)
-- Gives how many consent now.
--
-- The marker goes first and comes back last: should anything fail in between, nothing is
-- seeded, rather than a batch taken for refused. A full memory is no obstacle, as Redis
-- asks for it at the first write only, and a DEL passes.

local call, min = redis.call, math.min
local subjects = cmsgpack.unpack(ARGV[3])

local wanted = {}
for i = 1, #subjects do
  wanted[subjects[i]] = true
end

call('DEL', KEYS[1])
local former = call('SMEMBERS', KEYS[2])
for i = 1, #former do
  if not wanted[former[i]] then
    call('DEL', ARGV[1] .. former[i])
  end
end
call('DEL', KEYS[2])

-- In parts: Lua hands at most some thousand arguments to a function.
for from = 1, #subjects, 1000 do
  local keys = {}
  for i = from, min(from + 999, #subjects) do
    keys[#keys + 1] = ARGV[2] .. subjects[i]
  end
  local withdrawn = call('MGET', unpack(keys))
  local consenting = {}
  for i = 1, #keys do
    if not withdrawn[i] then
      consenting[#consenting + 1] = subjects[from + i - 1]
    end
  end
  if #consenting > 0 then
    call('SADD', KEYS[2], unpack(consenting))
  end
end

call('SET', KEYS[1], 1)
return call('SCARD', KEYS[2])
