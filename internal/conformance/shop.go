package conformance

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"flashgate"
)

// UsersFixture is what Users runs on.
type UsersFixture struct {
	Users flashgate.UserStore
	// Remover is nil where users stay.
	Remover flashgate.UserRemover
	// Reopen is as in DatabaseFixture.
	Reopen func(t testing.TB) UsersFixture
}

// Users is the suite of flashgate.UserStore.
func Users(t *testing.T, open func(t *testing.T) UsersFixture) {
	run(t, open, []testCase[UsersFixture]{
		{name: "Create", run: usersCreate},
		{name: "Unknown", run: usersUnknown},
		{name: "MobileTaken", run: usersMobileTaken},
		{name: "ConcurrentMobile", run: usersConcurrentMobile},
		{name: "Bulk", run: usersBulk},
		{name: "Remove", run: usersRemove, needs: func(f UsersFixture) bool { return f.Remover != nil }},
		{name: "Crash", run: usersCrash, needs: func(f UsersFixture) bool { return f.Reopen != nil }},
	})
}

// person is a user with a mobile number of 15 digits that nobody else has.
func person() flashgate.User {
	id := newUser()
	var mobile strings.Builder
	for _, c := range []byte(unique())[:15] {
		mobile.WriteByte('0' + c%10)
	}
	return flashgate.User{
		ID: id, Mobile: mobile.String(), Name: "Ann “A.” 安 O'Neil", Role: flashgate.RoleCustomer, Created: now(),
		PasswordHash: "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g",
	}
}

func createUsers(t testing.TB, f UsersFixture, us ...flashgate.User) {
	t.Helper()
	if err := f.Users.CreateUsers(t.Context(), us); err != nil {
		t.Fatalf("CreateUsers: %v", err)
	}
}

func wantUser(t testing.TB, f UsersFixture, want flashgate.User) {
	t.Helper()
	byID, err := f.Users.User(t.Context(), want.ID)
	if err != nil {
		t.Fatalf("User: %v", err)
	}
	byMobile, err := f.Users.UserByMobile(t.Context(), want.Mobile)
	if err != nil {
		t.Fatalf("UserByMobile: %v", err)
	}
	for _, got := range []flashgate.User{byID, byMobile} {
		same := got.Created.Equal(want.Created)
		got.Created = want.Created
		if !same || got != want {
			t.Errorf("the user is %+v, want %+v", got, want)
		}
	}
}

func wantNoUser(t testing.TB, f UsersFixture, u flashgate.User, what string) {
	t.Helper()
	_, err := f.Users.User(t.Context(), u.ID)
	wantCode(t, err, flashgate.CodeNotFound, what)
}

func usersCreate(t *testing.T, f UsersFixture) {
	a, b := person(), person()
	b.Role = flashgate.RoleAdministrator
	createUsers(t, f, a, b)
	wantUser(t, f, a)
	wantUser(t, f, b)
	createUsers(t, f)
}

func usersUnknown(t *testing.T, f UsersFixture) {
	u := person()
	wantNoUser(t, f, u, "never created")
	_, err := f.Users.UserByMobile(t.Context(), u.Mobile)
	wantCode(t, err, flashgate.CodeNotFound, "a number that nobody has")
	createUsers(t, f, u)
	for _, near := range []string{"", u.Mobile[1:], u.Mobile + "0", "%", u.Mobile + " "} {
		_, err := f.Users.UserByMobile(t.Context(), near)
		wantCode(t, err, flashgate.CodeNotFound, fmt.Sprintf("the number %q", near))
	}
}

// usersMobileTaken: all of them are written, or none.
func usersMobileTaken(t *testing.T, f UsersFixture) {
	first := person()
	createUsers(t, f, first)
	before, same, after := person(), person(), person()
	same.Mobile = first.Mobile
	err := f.Users.CreateUsers(t.Context(), []flashgate.User{before, same, after})
	wantCode(t, err, flashgate.CodeMobileTaken, "a number that is taken")
	same.Mobile = before.Mobile
	err = f.Users.CreateUsers(t.Context(), []flashgate.User{before, same, after})
	wantCode(t, err, flashgate.CodeMobileTaken, "the same number twice")
	for _, u := range []flashgate.User{before, same, after} {
		wantNoUser(t, f, u, "beside a number that is taken")
	}
	wantUser(t, f, first)
}

func usersConcurrentMobile(t *testing.T, f UsersFixture) {
	us := make([]flashgate.User, 20)
	results := make([]error, len(us))
	mobile := person().Mobile
	for i := range us {
		us[i] = person()
		us[i].Mobile = mobile
	}
	concurrently(len(us), func(i int) { results[i] = f.Users.CreateUsers(t.Context(), us[i:i+1]) })
	n := 0
	for i, err := range results {
		if err == nil {
			n++
			wantUser(t, f, us[i])
			continue
		}
		wantCode(t, err, flashgate.CodeMobileTaken, "the others")
		wantNoUser(t, f, us[i], "the others")
	}
	if n != 1 {
		t.Errorf("%d of %d have the number, want 1", n, len(us))
	}
}

func usersBulk(t *testing.T, f UsersFixture) {
	us := make([]flashgate.User, 2000)
	for i := range us {
		us[i] = person()
	}
	createUsers(t, f, us...)
	wantUser(t, f, us[0])
	wantUser(t, f, us[len(us)-1])
}

func usersRemove(t *testing.T, f UsersFixture) {
	us := make([]flashgate.User, 1200)
	gone := []flashgate.UserID{person().ID}
	for i := range us {
		us[i] = person()
		gone = append(gone, us[i].ID)
	}
	stays := person()
	createUsers(t, f, append(us, stays)...)
	for range 2 {
		if err := f.Remover.RemoveUsers(t.Context(), gone); err != nil {
			t.Fatalf("RemoveUsers: %v", err)
		}
		for _, u := range us {
			wantNoUser(t, f, u, "removed")
		}
	}
	if err := f.Remover.RemoveUsers(t.Context(), nil); err != nil {
		t.Errorf("RemoveUsers of nobody: %v", err)
	}
	wantUser(t, f, stays)
	createUsers(t, f, us[0]) // the number is free again
}

func usersCrash(t *testing.T, f UsersFixture) {
	u := person()
	createUsers(t, f, u)
	f = f.Reopen(t)
	wantUser(t, f, u)
	same := person()
	same.Mobile = u.Mobile
	wantCode(t, f.Users.CreateUsers(t.Context(), []flashgate.User{same}), flashgate.CodeMobileTaken, "after the crash")
}

// GoodsFixture is what Goods runs on.
type GoodsFixture struct {
	Goods flashgate.GoodsStore
	// Reopen is as in DatabaseFixture.
	Reopen func(t testing.TB) GoodsFixture
}

// Goods is the suite of flashgate.GoodsStore.
func Goods(t *testing.T, open func(t *testing.T) GoodsFixture) {
	run(t, open, []testCase[GoodsFixture]{
		{name: "Put", run: goodsPut},
		{name: "Unknown", run: goodsUnknown},
		{name: "ConcurrentPut", run: goodsConcurrentPut},
		{name: "Crash", run: goodsCrash, needs: func(f GoodsFixture) bool { return f.Reopen != nil }},
	})
}

func product() flashgate.Goods {
	return flashgate.Goods{
		ID: flashgate.GoodsID("g" + unique()), Title: "A lamp <b>“N° 5”</b> 灯", Image: "/static/lamp.svg", Price: 4999,
		Description: strings.Repeat("It's bright; it's \\ 明るい.\n", 40),
	}
}

func wantGoods(t testing.TB, f GoodsFixture, want flashgate.Goods) {
	t.Helper()
	if got, err := f.Goods.Goods(t.Context(), want.ID); err != nil || got != want {
		t.Errorf("the product is %+v, error %v; want %+v", got, err, want)
	}
}

func putGoods(t testing.TB, f GoodsFixture, g flashgate.Goods) {
	t.Helper()
	if err := f.Goods.PutGoods(t.Context(), g); err != nil {
		t.Fatalf("PutGoods: %v", err)
	}
}

func goodsPut(t *testing.T, f GoodsFixture) {
	g, other := product(), product()
	putGoods(t, f, other)
	for range 2 {
		putGoods(t, f, g)
		wantGoods(t, f, g)
	}
	replaced := flashgate.Goods{ID: g.ID, Title: "Another", Price: flashgate.MaxPrice}
	putGoods(t, f, replaced)
	wantGoods(t, f, replaced)
	wantGoods(t, f, other)
}

func goodsUnknown(t *testing.T, f GoodsFixture) {
	_, err := f.Goods.Goods(t.Context(), product().ID)
	wantCode(t, err, flashgate.CodeNotFound, "never put")
}

func goodsConcurrentPut(t *testing.T, f GoodsFixture) {
	g := product()
	errs := make([]error, 10)
	concurrently(len(errs), func(i int) { errs[i] = f.Goods.PutGoods(t.Context(), g) })
	if err := errors.Join(errs...); err != nil {
		t.Errorf("PutGoods: %v", err)
	}
	wantGoods(t, f, g)
}

func goodsCrash(t *testing.T, f GoodsFixture) {
	g := product()
	putGoods(t, f, g)
	f = f.Reopen(t)
	wantGoods(t, f, g)
}
