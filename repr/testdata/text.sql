-- type, input, output or error (blanks other than spaces are written as escapes)
create function pg_temp.escape(t text) returns text language sql as $$ select replace(replace(replace(t, '\', '\\'), E'\t', '\t'), E'\n', '\n') $$;
create function pg_temp.try(type_name text, inputs text[]) returns setof text language sql as $$
  select concat_ws(E'\t', type_name, pg_temp.escape(i), pg_temp.escape(pg_temp.ask(format('%L::%s', i, type_name)))) from unnest(inputs) with ordinality as u(i, n) order by n $$;

select pg_temp.try('boolean', array['t', 'true', 'TRUE', 'tr', 'tru', 'truex', 'y', 'ye', 'yes', 'yesno', 'on', 'o', 'of', 'off', 'f', 'fal', 'false', 'n', 'no', '1', '0', '10', '', ' ', ' t ', '2', 'oN']);
select pg_temp.try(t, array['0', '-0', '+5', ' 12 ', E'\t7\n', '12a', 'a', '', ' ', '-', '+', '1.5', '1e3', '1_000', '0x10', '- 1', '32767', '32768', '-32768', '-32769', '2147483647', '2147483648', '-2147483648', '-2147483649',
  '9223372036854775807', '9223372036854775808', '-9223372036854775808', '-9223372036854775809', '99999999999999999999999', '99999999999999999999999x', '0000000000000000000000000000001']) from unnest(array['smallint', 'integer', 'bigint']) t;
select pg_temp.try('oid', array['0', '26', '4294967295', '4294967296', '-1', '-2147483648', '-2147483649', 'abc', '', ' 7 ', '7x']);
select pg_temp.try(t, array['0', '-0', '1', '1.0', '1.5', '-1.25', '.5', '5.', '1e3', '1e14', '1e15', '999999999999999', '1e16', '123456789012345678', '1e20', '1e22', '1e23', '1e-4', '1e-5', '0.0001', '0.00001234', '0.1', '0.2', '0.3', '0.30000000000000004',
  '3.14159265358979', '3.141592653589793', '1e38', '3.4028235e38', '3.5e38', '1e308', '1.7976931348623157e308', '1e309', '-1e309', '1e-307', '5e-324', '1e-324', '1e-400', '0e-400', '1.17549435e-38', '1e-45', '1e-46', '1e400', 'NaN', 'nan', '-nan', 'inf', '-inf', '+inf', 'Infinity', '-Infinity',
  'infinit', ' 1.5 ', '', ' ', 'abc', '1.5x', '1 5', '1,5', '100000', '1000000', '999999', '9999999', '123456', '1234567', '12345678', '16777216', '16777217', '33554430', '8589973000', '9007199254740991', '9007199254740992', '9007199254740993', '4503599627370496', '4503599627370497.5', '4503599627370498.5',
  '2e22', '5e22', '8.41e21', '9.5367431640625e-07', '1.8446744073709552e19', '1.844674407370955e19', '1e21', '6.02214076e23', '1.602176634e-19', '299792458', '0.000123456789', '12345.678', '1e+5', '1E5', '2.2250738585072014e-308', '36893488147419103232', '7.0385e+26', '67108864', '67108866', '67108868', '134217700', '2.68e8'])
  from unnest(array['real', 'double precision']) t;
select pg_temp.try('text', array['', ' a ', 'abc', 'ünï']);
select pg_temp.try('bytea', array['', 'abc', '\x', '\x00ff', '\xDEADbeef', '\x12 34', '\x1', '\x123', '\xzz', '\\', '\', '\000', '\377', '\400', '\12', 'a\\b\101', '\X41', 'é']);
select pg_temp.try('uuid', array['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', '{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}', 'a0eebc999c0b4ef8bb6d6bb9bd380a11', 'a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11', '{a0eebc99-9c0b4ef8-bb6d6bb9-bd380a11}',
  'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a111', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1g', '{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}', 'a0e-ebc999c0b4ef8bb6d6bb9bd380a11', '', ' a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '00000000-0000-0000-0000-000000000000-']);
select pg_temp.try('json', array['{"a" : 1}', ' [1, 2] ', 'x', '', '"\u0000"', '1e5', '{"a":1,"a":2}']);
select pg_temp.try('jsonb', array['{"b" : 1, "a" : [1, 2.50, null, true]}', '{"a":1,"a":2}', '"x"', '1.10', 'x']);
select pg_temp.try('integer[]', array['{}', '{1}', '{1,2,3}', ' { 1 , 2 } ', '{1,NULL,null,Null}', '{{1,2},{3,4}}', '{{1},{2,3}}', '{{1,2},3}', '{1,{2}}', '{{}}', '{{},{}}', '{{},{1}}', '[0:1]={1,2}', '[2]={1,2}', '[2:1]={}', '[1:2][0:1]={{1,2},{3,4}}', '[0:2]={1,2}', '[1:1]={{1}}', '[-2:-1]={5,6}',
  '[1:2]', '[1:2={1,2}', '[a]={1}', '{1', '{1,}', '{,1}', '{,}', '1', '', '{1}x', '{1} ', '{a}', '{""}', '{"1"}', '{1 2}', '{99999999999}', '{{{{{{1}}}}}}', '{{{{{{{1}}}}}}}', '{{1,2},{3,4},{5,6}}', '{"1',  '{1}{2}', '{}}', '{{1}', '[1:0]={1}', '{{1},{}}', '{{1,NULL}}', '[ 1:2]={1,2}', '[1:2] = {1,2}']);
select pg_temp.try('text[]', array['{}', '{a,b}', '{ a b , c }', '{"a b","c,d"}', '{"a\"b","c\\d"}', '{a\"b,c\\d}', '{NULL,"NULL",null,"null"}', '{""}', '{a"b"}', '{"a"b}', '{"a" , b}', '{a{b}', '{a}b', '{"{}"}', '{\ }', '{é,ü}', '{"a\nb"}', E'{a\tb}', '{\N}', '{\null}', '{" "}', '{a,,b}', '{"",}', '{x'',y}', '{{a,b},{"c d",NULL}}', '{(1)}', '{a;b}']);
select pg_temp.try('boolean[]', array['{t,f,yes}', '{x}']);
select pg_temp.try('numeric[]', array['{1.50,NaN,-Infinity}']);
select pg_temp.try('double precision[]', array['{1e20,NaN,0.1}']);
select pg_temp.try('timestamp[]', array['{2024-01-02 03:04:05,infinity}']);
select pg_temp.try('date[]', array['{2024-01-02,0044-03-15 BC}']);
select pg_temp.try('bytea[]', array['{"\\x0102",abc}']);
select pg_temp.try('jsonb[]', array['{"{\"a\": 1}","[1, 2]",3}']);
select pg_temp.try('interval[]', array['{1 day,"2 mons 03:00:00"}']);
select pg_temp.try('uuid[]', array['{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}']);

select pg_temp.try(t, array['', 'a', 'abc', 'abcd', 'ab  ', 'abc   ', 'abc  d', 'äöü', 'äöüß', '   ', '    ']) from unnest(array['varchar(3)', 'character(3)', 'varchar', 'name']) t;
select pg_temp.try(t, array['1', '1.005', '-1.005', '999.99', '999.999', '99999']) from unnest(array['numeric(5,2)', 'numeric(3)', 'numeric(2,-1)', 'numeric(2,4)', 'numeric']) t;
select pg_temp.try(t, array['12:34:56.789', '12:34:56.5', '23:59:59.9999999', '23:59:59.99', '00:00:00.0005']) from unnest(array['time(0)', 'time(2)', 'time(3)', 'time(6)', 'time']) t;
select pg_temp.try(t, array['2024-02-29 12:34:56.789', '2024-12-31 23:59:59.9', '1999-12-31 23:59:59.5', '1999-12-31 23:59:59.4', '1960-01-01 00:00:00.5', 'infinity']) from unnest(array['timestamp(0)', 'timestamp(1)', 'timestamptz(0)', 'timestamptz(2)']) t;
select pg_temp.try(t, array['1 day 00:00:01.5678', '-00:00:01.5', '1.23456789 seconds']) from unnest(array['interval(0)', 'interval(2)', 'interval(6)']) t;
select pg_temp.try('numeric(4,1)[]', array['{1.25,NULL,{}', '{1.25,NULL,99.95}', '{9999}']);
select pg_temp.try('varchar(2)[]', array['{abc,d,NULL}', '{{abc},{d}}']);
