-- Writes a batch: the moves of people who consent, and the state of sensor channels.
--
-- KEYS  seeded marker, consent set, hash of the channels
-- ARGV  prefix of places, retention (ms), how far ahead an observation may be (ms),
--       moves in columns (msgpack: subjects, times, values, and by row of those who left
--       the access point and when the association that ended was last seen), channel keys (msgpack), their rows one after the other, bytes a
--       row, life of the channels (ms)
-- Gives {written, late, refused}, or nothing if the consent set is not seeded.
--
-- A value is "<time>|<confidence>|<space>|<access point>", that of a subject who left
-- is "<time>" alone. A time that gets as far as a comparison has 13 digits (2001 to
-- 2286: the others are late or ahead), so times compare as text.

local call, sub, find, min = redis.call, string.sub, string.find, math.min

if call('EXISTS', KEYS[1]) == 0 then
  return false
end

local prefix, retention = ARGV[1], tonumber(ARGV[2])
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local past, ahead = now - retention, now + tonumber(ARGV[3])

local subjects, times, values, lefts = unpack(cmsgpack.unpack(ARGV[4]))
local written, late, refused = 0, 0, 0
local fresh = {} -- what this batch has written: a subject may be in it twice

-- Whether who left leaves what is stored: it is no newer than what they left, or seen by
-- the very access point (a tombstone was by none, a place by coordinates by one without
-- a name, which no departure names).
local function leaves(left, stored)
  local ap, seen = left[1], left[2]
  if seen > 0 and (not stored or tonumber(sub(stored, 1, 13)) <= seen) then
    return true
  end
  local bar = stored and find(stored, '|', 15, true)
  bar = bar and find(stored, '|', bar + 1, true)
  return bar and ap ~= '' and sub(stored, bar + 1) == ap
end

-- In parts: Lua hands at most some thousand arguments to a function.
for from = 1, #subjects, 1000 do
  local to = min(from + 999, #subjects)
  local before = from - 1
  local keys = {}
  for i = from, to do
    keys[i - before] = prefix .. subjects[i]
  end
  local consents = call('SMISMEMBER', KEYS[2], unpack(subjects, from, to))
  local places = call('MGET', unpack(keys))
  for i = from, to do
    local observed, value = times[i], values[i]
    local key = keys[i - before]
    local stored = fresh[key] or places[i - before]
    local left = lefts[i]
    if consents[i - before] == 0 or observed > ahead then
      refused = refused + 1
    elseif
      -- Asked before SET, which takes an expiry in the past: it answers OK, and the
      -- value goes to whoever listens to the server's writes.
      observed <= past
      -- The whole first: it settles the usual case without making two strings.
      or (stored and stored > value and sub(stored, 1, 13) > sub(value, 1, 13))
      or (left and not leaves(left, stored))
    then
      late = late + 1
    else
      call('SET', key, value, 'PXAT', observed + retention)
      fresh[key] = value
      written = written + 1
    end
  end
end

local channels, rows, width = cmsgpack.unpack(ARGV[5]), ARGV[6], tonumber(ARGV[7])
for from = 1, #channels, 1000 do
  local fields = {}
  for i = from, min(from + 999, #channels) do
    fields[#fields + 1] = channels[i]
    fields[#fields + 1] = sub(rows, (i - 1) * width + 1, i * width)
  end
  call('HSET', KEYS[3], unpack(fields))
end
if #channels > 0 then
  call('PEXPIRE', KEYS[3], ARGV[8])
end

return {written, late, refused}
